자리 = 5


def 인사(누구):
    return f"안녕 {누구}"
