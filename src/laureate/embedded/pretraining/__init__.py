"""Pre-training of the embedded base and judges, from drawings alone.

    draw → tokenizer → vae → reader → latents → unet → card
                  ↘ vision ↘ clip

One stage = one module = one section of `models/embedded/params.yaml` = one verb of
`python -m laureate.embedded.pretraining`. The stages are frozen in `models/embedded/dvc.yaml`: what they made
is in git, and only who wants to make it anew runs them.
"""
