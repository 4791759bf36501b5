"""The workflows are well-formed, run what exists, and T5X's commits stand in one file alone."""

import pathlib
import re
import subprocess

import pytest
import yaml

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((REPOSITORY / '.github' / 'workflows').glob('*.yml'))
COMMIT = re.compile(r'\b[0-9a-f]{40}\b')


def jobs(workflow: pathlib.Path) -> dict[str, dict]:
    return yaml.safe_load(workflow.read_text())['jobs']


def test_all_workflows_are_there() -> None:
    assert [path.name for path in WORKFLOWS] == ['ci.yml', 'slow.yml', 't5x.yml']


@pytest.mark.parametrize('workflow', WORKFLOWS, ids=lambda path: path.name)
def test_workflow_is_complete(workflow: pathlib.Path) -> None:
    content = yaml.safe_load(workflow.read_text())
    # YAML 1.1 reads a bare `on` as true.
    assert {'name', True, 'jobs', 'permissions'} <= set(content)
    for job in content['jobs'].values():
        assert job['runs-on'].startswith('ubuntu-')
        assert 0 < job['timeout-minutes'] <= 120
        assert job['steps'][0]['uses'].startswith('actions/checkout@')
        assert all(('run' in step) != ('uses' in step) for step in job['steps'])


@pytest.mark.parametrize('workflow', WORKFLOWS, ids=lambda path: path.name)
def test_every_make_target_exists(workflow: pathlib.Path) -> None:
    commands = [step['run'] for job in jobs(workflow).values() for step in job['steps'] if 'run' in step]
    targets = [command.split()[1] for command in commands if command.startswith('make ')]
    assert targets
    for target in targets:
        plan = subprocess.run(
            ['make', '--dry-run', target], cwd=REPOSITORY, capture_output=True, text=True, timeout=30
        )
        assert plan.returncode == 0, plan.stderr


def test_github_runs_all_that_the_repositorys_own_script_runs() -> None:
    script = (REPOSITORY / '.ci' / 'run').read_text()
    in_script = set(re.findall(r'^make ([\w-]+)', script, re.MULTILINE))
    in_workflows = {
        step['run'].split()[1]
        for workflow in WORKFLOWS
        for job in jobs(workflow).values()
        for step in job['steps']
        if step.get('run', '').startswith('make ')
    }
    assert in_script
    assert in_script <= in_workflows


def test_t5xs_commits_stand_in_one_file() -> None:
    names = subprocess.run(
        ['git', 'ls-files', '--cached', '--others', '--exclude-standard'],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    pinned = set(COMMIT.findall((REPOSITORY / 't5x_requirements.txt').read_text()))
    assert len(pinned) == 3
    holders = [
        name
        for name in names
        if (REPOSITORY / name).suffix in {'.py', '.sh', '.yml', '.md', '.txt', '.gin', '.toml', ''}
        and (REPOSITORY / name).is_file()
        and pinned & set(COMMIT.findall((REPOSITORY / name).read_text()))
    ]
    assert holders == ['t5x_requirements.txt']
