"""What the command itself says, in both languages."""

from __future__ import annotations

from torchmedic.model import Text

CLEAR = Text(
    "All clear: {files} looked at, no findings.", "이상 없음: {files} 검사, 발견된 실수 없음."
)
FOUND = Text("Found {mistakes} in {files}.", "{files}에서 {mistakes} 발견.")
FIXABLE = Text(
    "{count} can be mended with `--fix`.", "{count}개는 `--fix` 옵션으로 고칠 수 있습니다."
)
UNSAFE_ONLY = Text(
    "{count} can be mended with `--fix --unsafe-fixes`, which can change results.",
    "{count}개는 결과를 바꿀 수 있는 `--fix --unsafe-fixes` 옵션으로 고칠 수 있습니다.",
)
UNSAFE = Text(
    "{count} more with `--fix --unsafe-fixes`, which can change results.",
    "{count}개는 결과를 바꿀 수 있는 `--fix --unsafe-fixes` 옵션으로 고칠 수 있습니다.",
)
MENDED = Text("Mended {mistakes} in {files}.", "{files}에서 {mistakes} 수정.")
WOULD_MEND = Text("Would mend {mistakes} in {files}.", "{files}에서 {mistakes} 수정 가능.")
NOTHING_TO_MEND = Text("No fix to apply.", "적용할 수정안이 없습니다.")
NO_FILES = Text("no Python file or notebook found here", "Python 파일이나 노트북이 없습니다")
KNOWN = Text(
    "{count} known from the baseline are not shown.",
    "기준선에 기록된 {count}개는 표시하지 않습니다.",
)
RECORDED = Text("Recorded {mistakes} in {path}.", "{mistakes}: {path} 파일에 기록했습니다.")
PARTLY = Text(
    "analysed only in part, because it is too large or too deeply nested",
    "너무 크거나 복잡해서 일부만 분석했습니다",
)
TIME = Text(
    "{looked} looked at, {skipped} without torch, {cached} from the cache, {seconds} s.",
    "{looked} 검사, torch 없음 {skipped}, 캐시 사용 {cached}, {seconds}초.",
)
PROGRESS = Text("torchmedic: {done} of {total} files", "torchmedic: 파일 {total}개 중 {done}개")


def files(count: int) -> Text:
    return Text(f"{count} file{'s' * (count != 1)}", f"파일 {count}개")


def mistakes(count: int) -> Text:
    return Text(f"{count} mistake{'s' * (count != 1)}", f"실수 {count}개")


def join(text: Text, **parts: Text | int | str) -> Text:
    """The text with its holes filled, each in its own language."""
    en = {k: v.en if isinstance(v, Text) else v for k, v in parts.items()}
    ko = {k: v.ko if isinstance(v, Text) else v for k, v in parts.items()}
    return Text(text.show("en", en), text.show("ko", ko))
