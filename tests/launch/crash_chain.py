import sys
import traceback


class Configuration(Exception):
    pass


def read(text):
    try:
        return int(text)
    except ValueError as error:
        raise Configuration(f"{text!r} is no number") from error


def run(text):
    try:
        return read(text)
    except Configuration:
        traceback.print_exc()
        return {}["missing"]


how = sys.argv[1]
if how == "group" and sys.version_info >= (3, 11):
    errors = []
    for text in ("a", "b"):
        try:
            read(text)
        except Configuration as error:
            errors.append(error)
    raise ExceptionGroup("two settings", errors)
if how == "exec":
    exec(compile("def f(n):\n    return 1 / n\nf(0)\n", "<generated>", "exec"))
if how == "hook":

    def hook(kind, error, traceback):
        print("own hook:", kind.__name__, error, sys.exc_info(), file=sys.stderr)
        while traceback:
            print("  in", traceback.tb_frame.f_code.co_name, traceback.tb_lineno, file=sys.stderr)
            traceback = traceback.tb_next

    sys.excepthook = hook
if how == "broken hook":
    sys.excepthook = lambda *details: details[5]
if how == "no hook":
    del sys.excepthook
if how == "none as hook":
    sys.excepthook = None
if how == "base":

    class Stop(BaseException):
        pass

    raise Stop("not an Exception")
if how == "main":
    1 / 0
run("x")
