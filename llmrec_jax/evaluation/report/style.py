"""The page's style sheet: readable in light and dark, and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1b2330; --quiet: #667085; --line: #e3e7ee;
  --accent: #1f5fd0; --accent-soft: #dce8fd; --floor: #a7b1c2; --ceiling: #2f9e6b; --hit: #d9f2e4;
  --hit-ink: #11623f;
  --warn: #b54708;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10141b; --card: #181e28; --ink: #e6eaf1; --quiet: #94a0b4; --line: #2b3443;
    --accent: #6ea2ff; --accent-soft: #22324f; --floor: #5d6a80; --ceiling: #4cc38a; --hit: #153a2a;
  --hit-ink: #8ce3b8;
    --warn: #f7b27a;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 40px 24px 80px; }
header h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.02em; margin: 0 0 6px; }
header p { margin: 0; color: var(--quiet); }
nav { margin: 18px 0 0; display: flex; flex-wrap: wrap; gap: 6px 18px; font-size: 14px; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 22px 26px 26px;
  margin-top: 22px; }
h2 { font-size: 19px; letter-spacing: -0.01em; margin: 0 0 14px; }
h3 { font-size: 15px; margin: 22px 0 8px; }
p.note { color: var(--quiet); margin: 10px 0 12px; font-size: 13.5px; max-width: 90ch; }
.hero { display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); gap: 14px; }
.figure { border-radius: 12px; padding: 16px 18px; background: var(--page); border: 1px solid var(--line); }
.figure.headline { background: var(--accent-soft); border-color: transparent; }
.figure .what { color: var(--quiet); font-size: 13px; }
.figure .value { font-size: 34px; font-weight: 650; letter-spacing: -0.02em; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.figure .more { font-size: 13px; color: var(--quiet); }
p.verdict { font-size: 17px; margin: 18px 0 0; max-width: 80ch; }
p.verdict.behind { color: var(--warn); }
.scroll { overflow-x: auto; margin: 0 -6px; padding: 0 6px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th { text-align: right; font-weight: 600; color: var(--quiet); font-size: 12.5px; padding: 6px 9px;
  vertical-align: bottom;
  border-bottom: 1px solid var(--line); }
td { text-align: right; padding: 8px 9px; border-bottom: 1px solid var(--line); vertical-align: top;
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 4px; }
td:first-child { white-space: normal; min-width: 130px; }
tbody tr:last-child td { border-bottom: 0; }
td small { display: block; color: var(--quiet); font-size: 11.5px; font-weight: 400; }
tr.headline td { background: var(--accent-soft); }
tr.behind td { color: var(--warn); }
tr.published td { color: var(--quiet); font-style: italic; }
tr.published .badge { font-style: normal; }
.badge { font-size: 11px; color: var(--quiet); border: 1px solid var(--line); border-radius: 99px;
  padding: 1px 7px;
  font-weight: 500; white-space: nowrap; }
.quiet { color: var(--quiet); }
.barcell { display: flex; align-items: center; gap: 8px; min-width: 180px; padding-top: 3px; }
.bar { position: relative; flex: 1; height: 14px; background: var(--line); border-radius: 4px;
  overflow: hidden; }
.bar i { position: absolute; left: 0; top: 0; bottom: 0; background: var(--floor); }
.bar b { position: absolute; top: 6px; height: 2px; background: var(--ink); opacity: .75; }
tr.headline .bar i { background: var(--accent); }
tr.other .bar i { background: var(--accent); opacity: .55; }
tr.bound .bar i { background: var(--ceiling); }
tr.published .bar i { background: repeating-linear-gradient(45deg, var(--floor) 0 4px, transparent 4px 7px); }
.percent { width: 46px; font-size: 12.5px; color: var(--quiet); }
.charts, .pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr));
  gap: 18px; margin-top: 14px; }
figure { margin: 0; }
figcaption { font-weight: 600; font-size: 14px; margin-bottom: 6px; }
figure p { margin: 6px 0 0; color: var(--quiet); font-size: 13px; }
.chart { width: 100%; height: auto; }
.chart text { fill: var(--quiet); font-size: 11.5px; }
.chart .grid { stroke: var(--line); }
.chart .line { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
.chart .dot { fill: var(--accent); }
.chart .best { fill: var(--ceiling); stroke: var(--card); stroke-width: 1.5; }
.chart .mark { fill: var(--ink); font-weight: 650; }
.pictures img { width: 100%; height: auto; display: block; background: #fff; border-radius: 8px;
  border: 1px solid var(--line); }
dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 10px 22px;
  margin: 14px 0 0; }
dl.facts dt { color: var(--quiet); font-size: 12.5px; }
dl.facts dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
details { border-top: 1px solid var(--line); padding: 10px 0; }
details:last-of-type { padding-bottom: 0; }
summary { cursor: pointer; }
summary .where { float: right; font-size: 13px; color: var(--quiet); }
summary .where.found { color: var(--hit-ink); background: var(--hit); border-radius: 99px; padding: 0 9px; }
.lists { display: grid; grid-template-columns: repeat(auto-fill, minmax(205px, 1fr)); gap: 14px 18px;
  margin-top: 12px; }
.lists h4 { margin: 0 0 4px; font-size: 13px; }
.lists ol { margin: 0; padding-left: 22px; font-size: 12.5px; line-height: 1.4; }
.lists li { margin: 0 0 3px; padding: 0 4px; overflow-wrap: anywhere; }
.lists li::marker { color: var(--quiet); }
li.target { background: var(--hit); color: var(--hit-ink); border-radius: 4px; font-weight: 600; }
.folded { margin-top: 20px; }
.history { color: var(--quiet); font-size: 13px; margin: 8px 0 0; }
.came { margin: 4px 0 0; font-size: 14px; }
pre { background: var(--page); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px;
  overflow-x: auto;
  font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; max-height: 520px; margin: 0; }
footer { color: var(--quiet); font-size: 13px; margin-top: 26px; }
@media print { body { background: #fff; } section { break-inside: avoid; } pre { max-height: none; } }
"""
