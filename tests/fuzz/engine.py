"""One target, tried by atheris: ``python -m fuzz.engine TARGET``, and what libFuzzer takes."""

import sys

import atheris

with atheris.instrument_imports(include=["twisted_chat"]):
    from fuzz.targets import TARGETS

if __name__ == "__main__":
    _, target, *arguments = sys.argv
    again = f"{sys.executable} -m fuzz.engine {target}"  # by which libFuzzer has a part of it done
    atheris.Setup([again, *arguments], TARGETS[target])
    atheris.Fuzz()
