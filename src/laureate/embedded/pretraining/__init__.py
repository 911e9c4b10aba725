"""Pre-training of the embedded base and judges, on drawings only.

    draw → tokenizer → vae → reader → latents → unet → card
                  ↘ vision ↘ clip

One stage = one module = one section of `models/embedded/params.yaml` = one verb of
`python -m laureate.embedded.pretraining`. The stages are frozen in `models/embedded/dvc.yaml`: their outputs
are in git, and they run only to train the models again.
"""
