"""The evaluation of a model that answers prompts in text, task by task, with what was answered kept.

| module | holds |
|---|---|
| `decoding_config` | which decoder answers which kind of question |
| `item_names` | the items as the model writes them |
| `evaluation_task`, `eval_batches` | a materialised task, and its examples in batches |
| `placed_model`, `params_fingerprint` | a network on the devices, its compiled ways of answering, its hash |
| `predictors`, `text_predictors`, `item_predictors` | the ways of answering, which kinds choose from |
| `fit_baselines`, `baselines` | what the answers are held against |
| `task_evaluator`, `journal` | one task asked and judged; a killed run goes on |
| `evaluate`, `report` | the stage over a mixture, and its report |

Kinds of answer are `evaluation.answer_kinds`.
"""
