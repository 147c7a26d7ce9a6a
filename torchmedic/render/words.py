"""The tool's own words, in both languages. What belongs to one mistake stands in its rule."""

from __future__ import annotations

from torchmedic.model import Severity, Text

SEVERITY = {
    Severity.ERROR: Text("error", "오류"),
    Severity.WARNING: Text("warning", "경고"),
    Severity.ADVICE: Text("advice", "조언"),
}
VERDICT = {
    True: Text("verified", "검증됨"),
    None: Text("not verified", "검증되지 않음"),
    False: Text("failed its trial", "검증 실패"),
}

# Labels of a report. They share one column, so the longest sets its width.
MODULE = Text("module", "모듈")
SEEN = Text("seen", "관찰")
WHY = Text("why", "이유")
HELP = Text("help", "할 일")
FIX = Text("fix", "수정")
SEARCH = Text("search", "검색어")
DOCS = Text("docs", "문서")
MORE = Text("more", "더 보기")
NOTE = Text("note", "참고")
LABELS = (MODULE, SEEN, WHY, HELP, FIX, SEARCH, DOCS, MORE, NOTE)

CHANGE_HERE = Text("change this", "여기를 바꾸세요")
MENDED_IN = Text("mended in {place}", "{place}에서 고칩니다")
LINE_NUMBER = Text("line {line}", "{line}번 줄")
RAISED_HERE = Text("raised here", "여기서 오류가 났습니다")
RAISES_HERE = Text("raises here", "여기서 오류가 납니다")  # nothing was executed
ROWS_LEFT_OUT = Text("… {count} rows left out", "… {count}개 행 생략")

# Headings of a lesson page.
WHAT_IT_IS = Text("What it is", "어떤 실수인가")
WHAT_YOU_SEE = Text("What you see", "화면에 나타나는 것")
WHY_IT_HAPPENS = Text("Why it happens", "왜 생기는가")
WHAT_TO_DO = Text("What to do", "어떻게 고치는가")
BAD = Text("A program with the mistake", "실수가 있는 프로그램")
GOOD = Text("The same program, mended", "고친 프로그램")
DIFFERENCE = Text("The difference", "달라진 점")
MORE_OF_THEM = Text("… and {count} more", "… 그 밖에 {count}개")
BY_HAND = Text("How to find it and avoid it", "직접 찾고 피하는 법")
LOOK_ALIKES = Text("Looks alike, and is right", "비슷해 보이지만 올바른 코드")
KEYWORDS = Text("Search for", "검색어")
LINKS = Text("Documentation", "공식 문서")
NO_MESSAGE = Text(
    "No error message. The program runs to its end, and its result is wrong.",
    "오류 메시지가 없습니다. 프로그램은 끝까지 실행되지만 결과가 틀립니다.",
)
NO_MESSAGE_MILD = Text(
    "No error message. The program runs to its end.",
    "오류 메시지가 없습니다. 프로그램은 끝까지 실행됩니다.",
)

# The table of all rules.
INDEX = Text("The mistakes that torchmedic knows", "torchmedic이 아는 실수")
CODE = Text("Code", "코드")
NAME = Text("Name", "이름")
KIND = Text("Severity", "심각도")
