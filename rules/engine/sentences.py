# SPDX-License-Identifier: Apache-2.0
"""What each problem of a pack means, in Chinese and in English, for those who write a community's rules.

One sentence for each code: what is wrong, why where that is not plain, and the way out. {found} is what stands in
the file, {allowed} what may stand there, {key} the word of the file it is about. The sentences of expressions are the
rule language's own (`language/errors.py`).
"""

from __future__ import annotations

SENTENCES: dict[str, tuple[str, str]] = {
    # files and folders
    "no_folder": (
        "没有这个文件夹；请指定放着 pack.toml 的文件夹",
        "there is no such folder; name the folder that holds pack.toml",
    ),
    "unknown_pack": (
        "没有名为“{found}”的内置规则包；现有：{allowed}",
        "there is no built-in pack “{found}”; there are {allowed}",
    ),
    "file_missing": (
        "缺少这个文件；规则包至少要有 {allowed}",
        "this file is missing; a pack has at least {allowed}",
    ),
    "file_name": (
        "文件名“{found}”不能用；请用小写英文、数字、连字符，并以 .toml（规则）或 .txt（原文）结尾，例如 {allowed}",
        "the file name “{found}” cannot be used; write small letters, digits and hyphens, ending in .toml (rules) or "
        ".txt (sources), as in {allowed}",
    ),
    "not_a_file": (
        "“{found}”不是普通文件（是文件夹、快捷方式或管道）；请把文件本身放进规则包文件夹",
        "“{found}” is no ordinary file (a folder, a link or a pipe); put the file itself into the folder",
    ),
    "unreadable": (
        "文件读不出来：{found}；请检查文件的权限",
        "the file cannot be read: {found}; look at its permissions",
    ),
    "too_many_files": (
        "文件太多：{found}个，最多{allowed}个；请把规则合并到按群体分的文件里",
        "too many files: {found}, at most {allowed}; put the rules of a group into one file",
    ),
    "too_large": (
        "内容太大：{found}字节，最多{allowed}字节；请分成几个文件，或删去不是规则的内容",
        "too large: {found} bytes, at most {allowed}; make it several files, or leave out what is no rule",
    ),
    "not_utf8": (
        "文件不是 UTF-8 编码；请在编辑器里选“另存为”，编码选 UTF-8",
        "the file is not UTF-8; save it again and choose UTF-8 as its encoding",
    ),
    "byte_order_mark": (
        "文件开头有看不见的标记（BOM）；请另存为“UTF-8（无 BOM）”",
        "the file begins with an invisible mark (BOM); save it as UTF-8 without BOM",
    ),
    "not_toml": (
        "“{found}”读不懂；这里应当是 {allowed}（标点、引号、括号和空格都用英文半角；文字加引号，数字和日期不加，"
        "数字不带单位和百分号）",
        "“{found}” cannot be read here; expected {allowed} (texts in straight quotes, numbers and days without, no "
        "units and no % behind a number)",
    ),
    "duplicate_key": (
        "同一项写了两次：“{found}”；请只留一处。如果是新的一条规则，开头要写 {allowed}",
        "the same thing is said twice: “{found}”; keep one of them. If it is a new rule, begin it with {allowed}",
    ),
    "too_deep": (
        "一层套一层太多（“{found}”）；层数须{allowed}",
        "too many things inside one another (“{found}”); at most {allowed} levels",
    ),
    "too_many": (
        "这里的内容太多（{found}），须{allowed}；请分开写",
        "too much in one place ({found}), {allowed}; divide it",
    ),
    "number_too_big": (
        "数字太大：{found}；须{allowed}",
        "the number is too big: {found}; {allowed}",
    ),
    "invisible_character": (
        "文字里有看不见或冒充别的字的字符（{found}）；请删掉后用{allowed}重新输入",
        "the text holds a character that cannot be seen or imitates another ({found}); delete it and type it again in "
        "{allowed}",
    ),
    "more_problems": (
        "还有更多问题没有列出（只列前{allowed}个）；请先改好上面的，再检查一次",
        "there are more problems (the first {allowed} are listed); mend these and check again",
    ),
    # keys and their values
    "missing": (
        "缺少“{key}”；请补上（{allowed}）",
        "“{key}” is missing; add it ({allowed})",
    ),
    "unknown_key": (
        "没有“{found}”这一项，可能写错了；可用的有：{allowed}",
        "there is no key “{found}”, it may be mistyped; there are {allowed}",
    ),
    "wrong_type": (
        "“{key}”写成了 {found}，不是这一类；应当像 {allowed} 这样（文字加引号，数字和日期不加）",
        "“{key}” is {found}, which is of the wrong kind; write it like {allowed} (quotes around texts only)",
    ),
    "not_an_integer": (
        "不能写小数 {found}；分值以百分之一分为单位，半分写 50，请写 {allowed}",
        "there are no fractions ({found}); amounts are hundredths of a point, half a point is 50, so write {allowed}",
    ),
    "out_of_range": (
        "“{key}”是 {found}，超出范围；应当是 {allowed}",
        "“{key}” is {found}, which is out of range; expected {allowed}",
    ),
    "wrong_length": (
        "“{key}”太短或太长（“{found}”）；字数应当 {allowed}",
        "“{key}” is too short or too long ({found}); expected {allowed}",
    ),
    "wrong_form": (
        "“{key}”写成 {found}，格式不对；应当像 {allowed} 这样（英文半角）",
        "“{key}” is {found}, which has the wrong form; write it like {allowed}",
    ),
    "unknown_word": (
        "“{key}”不能是 {found}；只能是：{allowed}",
        "“{key}” cannot be {found}; it is one of {allowed}",
    ),
    # what belongs together
    "unknown_group": ("没有群体 {found}；groups.toml 里有：{allowed}", "no group {found}; groups.toml has {allowed}"),
    "unknown_category": (
        "没有类别 {found}；pack.toml 的 [categories] 里有：{allowed}",
        "no category {found}; [categories] of pack.toml has {allowed}",
    ),
    "unknown_source": (
        "没有依据 {found}；pack.toml 的 [sources] 里有：{allowed}",
        "no source {found}; [sources] of pack.toml has {allowed}",
    ),
    "unknown_field": (
        "没有可用的字段 {found}；这里可用：{allowed}",
        "no field {found} can stand here; there are {allowed}",
    ),
    "unknown_counter": (
        "没有可限额的 {found}；这里可用：{allowed}",
        "{found} cannot be limited here; there are {allowed}",
    ),
    "unknown_set": (
        "没有名为 {found} 的组；pack.toml 里有：{allowed}",
        "there is no set {found}; pack.toml has {allowed}",
    ),
    "lonely_set": (
        "组 {found} 用到的规则太少，起不了作用；请让至少 {allowed} 条规则写上它，或删去这个组",
        "too few rules use the set {found}, so it does nothing; name it in at least {allowed} of them or delete it",
    ),
    "duplicate_code": (
        "编号 {found} 在 {allowed} 里已经用过；请换一个",
        "{allowed} already has the code {found}; choose another",
    ),
    "duplicate_alias": (
        "名称 {found} 已经是另一项的名称或别名，登记时会分不清；请换一个：{allowed}",
        "the name {found} already means something else, and a sheet would mix them up; choose another: {allowed}",
    ),
    "unknown_indicator": (
        "没有可用的规则 {found}；这里可用：{allowed}",
        "no rule {found} can stand here; there are {allowed}",
    ),
    "unknown_unit": (
        "例子里没有 {found}；members 里有：{allowed}",
        "the example has no {found}; its members give {allowed}",
    ),
    "key_of_other_kind": (
        "“{key}”对 {found} 这类没有作用，写了会让人误会；请删去。这类可写：{allowed}",
        "“{key}” means nothing for the kind {found} and would only look as if it did; delete it. There are {allowed}",
    ),
    "second_notice": (
        "每月公示只有一份，{allowed} 已经是了；请删去 {found}，或换一种榜单",
        "there is one notice only and {allowed} is it; delete {found}, or make it another kind of list",
    ),
    "reserved_name": (
        "{found} 是系统自用的名字；请换一个名字（{allowed}）",
        "{found} is a name that the system uses itself; choose another ({allowed})",
    ),
    "field_shape": (
        "字段 {key} 没写全或写多了；这类字段要有：{allowed}",
        "the field {key} says too little or too much; such a field has {allowed}",
    ),
    "tier_incomplete": (
        "档次 {found} 与字段的可选值对不上；必须正好是：{allowed}",
        "the steps {found} do not match the words of the field; they are exactly {allowed}",
    ),
    "not_rising": (
        "数值必须逐档升高，{found} 没有升高；应当{allowed}",
        "the values must rise from step to step and {found} does not; expected {allowed}",
    ),
    "not_open": (
        "最后一档不能有上限（{found}）；请删去它的 {allowed}",
        "the last step has no upper end ({found}); delete its {allowed}",
    ),
    "bands_not_falling": (
        "等级要从高到低排，{found} 不低于上一级；应当{allowed}",
        "grades are listed from high to low and {found} is not lower than the one above; expected {allowed}",
    ),
    "windows_not_nested": (
        "限额要从小期间到大期间、从少到多排列，这里是 {found}；应当是 {allowed}",
        "limits go from short windows to long ones and from less to more, here it is {found}; expected {allowed}",
    ),
    "ladder_is_its_own_cap": (
        "阶梯规则本身就封顶，不能再限 {found}；请只限{allowed}",
        "a ladder is its own limit and bears none on {found}; limit {allowed} only",
    ),
    "standing_only": (
        "{found} 只能用于信用分；请写在 {allowed} 里，或去掉兑换积分",
        "{found} is for standing only; write it under {allowed} or leave the points out",
    ),
    "not_a_condition": (
        "“when”要写成一个成立或不成立的条件，这里得到的是{found}；例如 {allowed}",
        "“when” must hold or not hold, and this is {found}; write something like {allowed}",
    ),
    "not_an_amount": (
        "公式要算出一个数，这里得到的是{found}；例如 {allowed}",
        "a formula must give a number, and this is {found}; write something like {allowed}",
    ),
    "negative_amount": (
        "公式可能算出负数（{found}）；扣分也写成正数。请用 max(0, …) 保证结果在 {allowed} 之内",
        "the formula can come out negative ({found}); even a deduction is written as a positive number. Use max(0, …) "
        "to stay within {allowed}",
    ),
    "ends_before_it_starts": (
        "结束日期 {found} 早于开始日期；应当是 {allowed}",
        "the last day {found} is before the first; expected {allowed}",
    ),
    "minus_points": (
        "扣分只影响信用分，不能扣兑换积分；请删去 {found}，只留 {allowed}",
        "a deduction touches standing and never redeemable points; delete {found} and keep {allowed}",
    ),
    "evidence_too_low": (
        "证明等级 {found} 太低，只凭自己说不能计分；应当是 {allowed}",
        "evidence level {found} is too weak, nobody's own word earns points; expected {allowed}",
    ),
    "cause_too_wide": (
        "“cause”只写了 {found}，不同人、不同规则的事会被当成同一件；必须包含 {allowed}",
        "“cause” is only {found}, so deeds of different people or rules would count as one; it must hold {allowed}",
    ),
    # sources
    "source_without_text": (
        "引用了原文，但依据 {found} 没有附原文文件；请在 pack.toml 的这项依据里写上 {allowed}",
        "a quotation, but the source {found} has no text with it; give that source of pack.toml {allowed}",
    ),
    "source_text_missing": (
        "找不到原文文件 {found}；请把它放在 pack.toml 旁边",
        "the text file {found} is not there; put it beside pack.toml",
    ),
    "source_changed": (
        "原文文件与登记的摘要 {found} 不符；请放回原来的文件，如果确实换了原文，核对后把 sha256 改为 {allowed}",
        "the text file is not the one that was registered as {found}; put the old one back or, if the change is meant, "
        "read it through and set sha256 to {allowed}",
    ),
    "quote_not_found": (
        "原文里没有这句话：“{found}”；请逐字照抄原文。原文中最接近的是：{allowed}",
        "the source does not say “{found}”; quote it word for word. The nearest line is: {allowed}",
    ),
    # guardrails
    "GR-01": (
        "个人只加分、不扣分、不降级、不欠分，这里却是“{found}”；记错的分用冲正改回，请改成 {allowed} 或删去这条规则",
        "persons only gain: nothing deducts, downgrades or puts them in debt, yet here is “{found}”; mistakes are "
        "undone by reversals, so make it {allowed} or delete the rule",
    ),
    "GR-02": (
        "灰榜（提醒榜）只针对单位和商户的扣分项，不能用在个人或加分项上（{found}）；请删去，或改为 {allowed}",
        "the grey list is for deductions of bodies, never for persons or for additions ({found}); delete it, or make "
        "it {allowed}",
    ),
    "GR-03": (
        "对单位扣分、列入灰榜，必须有正式文书、经第二人批准，列入前还要告知并留足答复时间，这里是 {found}；"
        "请改成 {allowed}",
        "a deduction from a body, and a reminder of it, needs an official document and a second person, and a reminder "
        "time to answer first; here is {found}, make it {allowed}",
    ),
    "GR-04": (
        "扣分最长保留一年，公示也一样，轻微的不公示，这里是 {found}；请改成 {allowed}",
        "a deduction lasts and is posted a year at most, a minor one is never posted, and here it is {found}; make it "
        "{allowed}",
    ),
    "GR-05": (
        "不能叫“{allowed}”（“{found}”）；社区只有灰榜（提醒榜），请改用这个名称或删去",
        "this cannot be called “{allowed}” (“{found}”); a community has a grey list only, use that name or delete it",
    ),
    "GR-07": (
        "“{found}”涉及“{allowed}”，这是居民的权利、隐私或归法律管的事，不能加分也不能扣分；请删去这条规则",
        "“{found}” is about “{allowed}”, a right, a private matter or one for the law and never for points; delete the "
        "rule",
    ),
    "GR-08": (
        "“{found}”会影响基本公共服务（{allowed}）；积分只能多给，不能拒绝或限制任何服务，请删去",
        "“{found}” would affect basic public services ({allowed}); points may only add and never deny or limit a "
        "service, so delete it",
    ),
    "GR-11": (
        "谁上榜、谁不上榜不能只由机器定，这里是 {found}；请改成 {allowed}",
        "no machine alone decides who is honoured or reminded, and here it is {found}; make it {allowed}",
    ),
    "GR-12": (
        "“{found}”涉及“{allowed}”：未成年人不设账户，积分也不因家人而得；请删去这条规则，未成年人的服务可发证书",
        "“{found}” is about “{allowed}”: minors hold no accounts and nobody earns through a relative; delete the rule, "
        "a minor's service may get a certificate",
    ),
    "GR-18": (
        "“{key}”是 {found}，批准门槛只能更严；应当是 {allowed}",
        "“{key}” is {found}, and approval limits may only be stricter; expected {allowed}",
    ),
    "GR-20": (
        "规则从 {found} 起生效，早于规则包，等于追溯；应当是 {allowed}",
        "the rule is in force from {found}, before its pack, which reaches back; expected {allowed}",
    ),
    "GR-25": (
        "“{found}”：有报酬的、被要求的或没有保险的危险劳动不能换兑换积分；请改成 {allowed}",
        "“{found}”: work that is paid, ordered, or dangerous without insurance earns no redeemable points; make it "
        "{allowed}",
    ),
}
