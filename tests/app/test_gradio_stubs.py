"""Gradio is imported without its writer of stubs."""

import subprocess
import sys


def test_gradio_writes_no_stubs_and_works_without() -> None:
    """The hook still fits Gradio: its writer of stubs is there, is taken out, and components are made."""
    code = (
        "import sys\nfrom laureate.app.gradio_stubs import _WithoutStubs, no_gradio_stubs\n"
        "with no_gradio_stubs():\n    import gradio\n"
        "from gradio import component_meta\nassert _WithoutStubs not in sys.meta_path\n"
        "assert component_meta.create_or_modify_pyi.__name__ == '<lambda>'\n"
        "with gradio.Blocks(analytics_enabled=False): print(gradio.Textbox(label='a').get_config()['label'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "a\n", done.stderr
