"""Postal addresses in the orders and scripts of other countries than `addresses` has.

Three roads: a postcode with its town, from which the street before it is read backwards; a chain of parts that
begins with a flat or a plot, as in India and the Emirates; and a form for each script, tried only around its words
for streets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from netgpt.privacy.detectors.normalize import places
from netgpt.privacy.kinds import word_set
from netgpt.privacy.registry import detector
from netgpt.types import Span

_BIG: Final = "A-ZÀ-ÖØ-ÞĀ-ŽȘȚẠ-ỸΆ-ΫА-ЯЁІЇЄҐ"
_WORD: Final = rf"[{_BIG}][\w'’.\-]{{0,24}}"
_SMALL: Final = (
    r"(?:de|del|della|dei|da|do|dos|das|la|las|los|le|les|du|des|der|den|dem|van|von|vom|zum|zur|am|an|im"
    r"|in|el|al|e|y|og|i|ob|pod|nad|na)"
)
_TOWN: Final = (
    rf"{_WORD}(?:[ \-]{_WORD}|[ ]{_SMALL}[ ](?:{_SMALL}[ ])?{_WORD}){{0,2}}(?:[ ]?/[ ]?{_WORD})?"
    rf"(?:[ ]\d{{1,2}}(?![\w.,]*\d))?(?:[ ]?[\-,][ ]?[A-Z]{{2}}(?!\w))?"
)
_CODED_TOWN = re.compile(  # begins with a digit, which the engine looks for quickly
    r"[0-9](?<![\w.\-/].)(?:\d{4}-\d{3}|\d-\d{3}|\d{3}-\d{3}|\d{2}[ ]\d\d|\d{3}[ ][A-Z]{2}|\d{3,5})"
    rf"[ ]{{1,2}}(?P<town>{_TOWN})"
    rf"|[0-9](?<=[A-Z]-.)\d{{3,4}}[ ](?P<town2>{_TOWN})"
)
_UNIT: Final = (
    r"(?:(?i:apto|apt|ap|app|appt|appartement|apartamento|depto|dpto|piso|planta|puerta|esc|escalera"
    r"|int|interno|scala|étage|etage"
    r"|lgh|lejl|leil|wohnung|whg|top|stiege|stock|og|eg|daire|kat|blok|d|m|lok|byt|et|bloco|sala|casa"
    r"|loja|andar|of|oficina|local|bte|bus|bis|ter|floor|flat"
    r"|unit|suite|ste)[.:]?[ ]?(?:[Nn][or°º]\.?[ ]?)?[\dA-Z][\w\-/]{0,5}|\d{1,3}\.?[oa°]?[ ]?(?:[A-Z]"
    r"|izq|dcha|esq|dto|tv|th|mf|sal|St|Stock|OG|Etage|étage|\d{1,2}[ao])\.?(?![\w]))"
)
_HOUSE: Final = (
    r"(?:(?:[Nn][or°º]?[.:°º]?|No:|nr\.?|br\.|č\.|d\.|κ\.)[ ]?)?\d{1,5}(?:[ ]?[a-zA-Z](?![\w]))?"
    r"(?:[ ]?[\-/][ ]?(?:\d{1,4}[a-zA-Z]?|[IVX]{1,4})){0,2}"
)
_LOW: Final = (
    r"(?:gate|gata|gade|vei|väg|utca|út|tér|ulice|ulica|náměstí|straat|plein|laan|katu|tie|sokak|caddesi"
    r"|utja|rakpart|körút|trg|cesta|bulevar)"
)
_STREET_BEFORE = re.compile(
    rf"(?P<street>(?:(?:{_WORD}|{_SMALL}|ul\.|al\.|os\.|pl\.|str\.|št\.)[ ]){{0,5}}(?:{_WORD}"
    rf"|{_WORD}[ ]{_LOW})\.?,?[ ]{_HOUSE})"
    rf"(?:,?[ ]{_UNIT}){{0,3}}(?:,[ ]{_WORD}(?:[ ]{_WORD}){{0,2}}){{0,2}},?(?:[ ]-)?(?:[ ]"
    rf"|[ ]?\n[ ]{{0,8}})(?:[A-Z]{{1,3}}-)?\Z"
)
_BEHIND_TOWN = re.compile(
    rf",[ ](?:ul\.[ ]|str\.[ ])?{_WORD}(?:[ ]{_WORD}){{0,2}}(?:[ ]{_LOW})?[ ]{_HOUSE}(?:,?[ ]{_UNIT}){{0,2}}(?![\w])"
)
_YEAR = re.compile(r"(?:19|20)\d\d[ ]")
_NOT_STREETS: Final = word_set(
    """
    table figure fig chapter section version page step part volume episode season line lines room article clause
        paragraph appendix exercise problem question theorem lemma level phase round week day year windows python
    java ubuntu debian
    release build rfc iso din january february march april may june july august september october november december
    januar februar märz mai juni juli oktober dezember janvier février mars avril juin juillet août septembre octobre
    novembre décembre enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre item
    lesson exercise column gate seat row unit lot monday tuesday wednesday thursday friday saturday sunday number
    group class grade score rank top best the in at on
    """
)
_STREET_LIKE = re.compile(
    r"(?i)stra(?:ß|ss)e|str\.|weg\b|platz|allee|gasse|ring\b|damm|ufer|markt|straat|laan|plein|gracht"
    r"|kade|gatan|gata|gate|vägen|gade|vej"
    r"|vei\b|katu|tie\b|utca|\bvia\b|viale|corso|piazza|calle|rua\b|avenida|\bav\.|\brue\b|ul\.|al\."
    r"|os\.|cad\b|sok\b|\b(?:Am|An|Auf|Im|Unter"
    r"|Zum|Zur)\b|street|road|lane"
)
_CHAIN = re.compile(
    rf"(?<![\w])(?:(?:Flat|Apt|Apartment|Villa|House|Plot|Door|Shop|Office|Unit|Suite|Building|Bldg"
    rf"|Block|Tower|Room|H\.?[ ]?No|D\.?[ ]?No|Lot|Blk|Unit)\.?[ ]?(?:No\.?:?[ ]?|\#[ ]?)?"
    rf"[A-Z]?-?\d{{1,4}}[A-Za-z]?(?:[\-/]\d{{1,4}}[A-Za-z]?){{0,3}}(?:/[A-Z])?)"
    rf"(?P<parts>(?:,[ ](?:\d{{1,4}}(?:st|nd|rd|th)?[ ])?{_WORD}(?:[ ](?:{_WORD}|\d{{1,4}}"
    rf"(?![\w]))){{0,4}}){{2,7}})(?:[ ]?-?[ ]?\d{{6}}(?!\d))?"
)
_CHAIN_WORDS: Final = ("Flat", "Apt", "Apartment", "Villa", "House", "Plot", "Door", "Shop", "Office", "Unit", "Suite",
    "Building",
    "Bldg", "Block", "Tower", "Room", "H.No", "H. No", "H No", "D.No", "Lot", "Blk")  # fmt: skip

_HAN: Final = r"[\u3400-\u9fff]"
_COUNT: Final = r"[0-9一二三四五六七八九十百]{1,5}"
_CHINESE = re.compile(
    rf"(?:\d{{3,6}}[ ]?)?(?:{_HAN}{{2,8}}?(?:省|自治区|自治區))?(?:{_HAN}{{2,8}}?(?:市|自治州|盟))?"
    rf"(?:{_HAN}{{1,8}}?(?:区|區|县|縣|旗|镇|鎮|乡|鄉|街道|新区)){{0,3}}"
    rf"{_HAN}{{1,12}}?(?:大道|大街|胡同|路|街|巷|弄|里|村|道)(?:[东西南北中東]?{_COUNT}?段)?(?:{_COUNT}(?:巷|弄)){{0,2}}"
    rf"{_COUNT}(?:号|號|弄)(?:院|楼|樓)?(?:[ ]?(?:{_HAN}{{2,8}}(?:大厦|大樓|小区|小區|花园|公寓"
    rf"|广场))?[ ]?[0-9A-Za-z一二三四五六七八九十\-]{{1,6}}"
    rf"(?:号楼|號樓|单元|單元|栋|棟|幢|座|室|楼|樓|层|層|房|户|之[0-9]{{1,3}}|號|号"
    rf"|F)){{0,5}}(?:之[0-9]{{1,3}})?"
)
_LEAD = re.compile(
    rf"{_HAN}{{0,10}}(?:住在|地址[是为為]?|位于|位於|寄到|寄往|寄至|送到|送至|搬到|发到|家在|在|到|是|于|往|至|给|向|我|请|请把|住)(?={_HAN}{{2}})"
)
_JAPANESE = re.compile(
    r"(?:〒?[ ]?\d{3}-\d{4}[ ]?)?(?:(?:東京都|北海道|京都府|大阪府|[\u3400-\u9fff]{2,3}県)"
    r"(?:[\u3400-\u9fff\u3041-\u30ff]{1,8}?[市区郡町村]){0,3}|"
    r"(?:[\u3400-\u9fff\u3041-\u30ff]{1,8}?[市区郡]){1,2}(?:[\u3400-\u9fff\u3041-\u30ff]{1,8}?[町村])?)"
    r"[\u3400-\u9fff\u3041-\u30ff]{0,12}?[0-9一二三四五六七八九十]{1,4}(?:丁目|番地|番|号|条|-)(?:[0-9一二三四五六七八九十]{1,4}"
    r"(?:番地|番|号|-|の)?){0,4}"
    r"(?:[ ]?[\u30a0-\u30ff\u3400-\u9fffA-Za-z]{2,16}[ ]?[0-9]{1,4}(?:号室|号|F|階|室)?|[ ]?[0-9]{1,4}号室)?"
)
_KOREAN = re.compile(
    r"(?:\(?\d{5}\)?[ ])?(?:[가-힣]{2,7}(?:특별시|광역시|특별자치시|특별자치도|도|시)?[ ]){0,1}(?:[가-힣]{1,7}(?:시|군"
    r"|구)[ ]){1,2}(?:[가-힣0-9]{1,7}(?:읍|면|동|리|가)[ ]){0,2}"
    r"(?:[가-힣0-9]{1,14}(?:로|길|대로)[ ]?(?:\d{1,4}(?:번)?길[ ]?)?)?\d{1,5}(?:-\d{1,4})?(?:번지)?(?![0-9]|[ ]?"
    r"(?:개|명|원|년|월|일|시간|번(?!지)))"
    r"(?:,?[ ](?:[가-힣A-Za-z0-9]{2,12}(?:아파트|빌라|타워|빌딩|오피스텔))?[ ]?(?:\d{1,4}동)?[ ]?\d{1,4}(?:호|층)){0,2}"
    r"(?:[ ]?\([가-힣0-9, ]{2,24}\))?"
)
_CYRILLIC: Final = "[А-ЯЁІЇЄҐа-яёіїєґ]"
_RUSSIAN_KINDS: Final = (
    "ул|улица|улице|пр|просп|проспект|проспекті|пр-т|пер|переулок|бул|бульвар|б-р|шоссе|ш|наб"
    "|набережная|площадь|пл|вул|вулиця|пров"
    "|мкр|микрорайон"
)
_RUSSIAN = re.compile(
    rf"(?:(?:\d{{5,6}},[ ])?(?:(?:г\.|м\.|город|місто|гр\.)[ ]?)?[А-ЯЁІЇЄҐ]{_CYRILLIC}{{2,20}}"
    rf"(?:[ \-][А-ЯЁІЇЄҐ]{_CYRILLIC}{{1,20}})?,[ ])?"
    rf"(?<![\w])(?:(?i:{_RUSSIAN_KINDS})\.?[ ]?(?:\d{{1,3}}"
    rf"(?:-[а-я]{{1,3}})?[ ])?{_CYRILLIC}[\w.\-]{{1,24}}(?:[ ]{_CYRILLIC}[\w.\-]{{1,24}}){{0,2}}?"
    rf"|[А-ЯЁІЇЄҐ]{_CYRILLIC}{{2,20}}(?:ий|ый|ой|ая|ое|а|ій)[ ](?i:{_RUSSIAN_KINDS})\.?),?"
    r"[ ](?:(?:д|дом|дім|буд|№)\.?[ ]?\d{1,4}|\d{1,4}(?![ ][а-яёії]{4}))(?:[ ]?[а-яА-Яії](?!\w))?(?:[/\-]\d{1,4})?"
    r"(?:,?[ ](?i:корп|корпус|к|стр|строение|кв|квартира|подъезд|под|этаж|оф|офис|ап|вх|ет"
    r"|п)\.?[ ]?\d{1,5}[а-яА-Я]?(?!\w)){0,4}"
    rf"(?:,[ ](?:(?:г\.|м\.|гр\.)[ ]?)?[А-ЯЁІЇЄҐ]{_CYRILLIC}{{2,20}}"
    rf"(?:[ \-][А-ЯЁІЇЄҐ]{_CYRILLIC}{{1,20}})?(?![\w])){{0,2}}(?:,?[ ]\d{{5,6}}(?!\d)"
    rf"(?:[ ][А-ЯЁІЇЄҐ]{_CYRILLIC}{{2,20}})?)?"
)
_ARABIC_PART: Final = r"(?:[،,][ ]?(?:[\u0621-\u06ff]{2,16}[ ]?){1,4}\d{0,6})"
_ARABIC = re.compile(
    rf"(?:\d{{1,5}}[ ]|(?:رقم|بناية|عمارة|مبنى|فيلا|شقة)[ ]\d{{1,4}}[،,]?[ ])?(?:شارع|طريق|جادة|زقاق"
    rf"|خیابان|کوچه|بلوار)[ ](?:[\u0621-\u06ff]{{2,16}}[ ]?){{1,4}}(?:[،,]?[ ]?(?:رقم|بناية|عمارة|مبنى"
    rf"|پلاک)?[ ]?\d{{1,5}})?{_ARABIC_PART}{{0,4}}"
)
_HEBREW = re.compile(
    r"(?:רחוב|רח'|שדרות|שד'|דרך|סמטת|שביל)[ ][\u05d0-\u05ea\"'\-]{2,16}"
    r"(?:[ ][\u05d0-\u05ea\"'\-]{2,16}){0,3}?[ ]\d{1,4}(?:/\d{1,3})?[\u05d0-\u05ea]?"
    r"(?:,?[ ](?:דירה|קומה|כניסה)[ ]?\d{1,4}){0,3}(?:,[ ][\u05d0-\u05ea\"'\-]{2,14}"
    r"(?:[ ][\u05d0-\u05ea\"'\-]{2,14}){0,2})?(?:,?[ ]\d{5,7}(?!\d))?"
)
_THAI = re.compile(
    r"(?:(?:บ้านเลขที่|เลขที่)[ ]?)?\d{1,4}(?:/\d{1,4})?[ ](?:(?:หมู่|ม\.)[ ]?(?:ที่[ ]?)?\d{1,3}[ ])?"
    r"(?:(?:ซอย|ซ\.)[ ]?[^\s,]{1,30}(?:[ ]\d{1,3})?[ ])?(?:ถนน|ถ\.)[ ]?[^\s,]{1,30}"
    r"(?:,?[ ](?:แขวง|ตำบล|ต\.|เขต|อำเภอ|อ\.|จังหวัด|จ\.|กรุงเทพ)(?:[ ]?[^\s,\d]{1,30})?){0,4}(?:[ ]\d{5}(?!\d))?"
)
_HINDI = re.compile(
    r"(?:मकान|फ्लैट|प्लॉट|घर|दुकान)[ ](?:(?:नंबर|नं\.?|संख्या|क्रमांक)[ ]?)?\d{1,4}(?:[/\-]\w{1,4})?"
    r"(?:,[ ][\u0900-\u097f]{2,16}(?:[ ](?:[\u0900-\u097f]{2,16}|\d{1,3}(?!\d))){0,3}){1,5}"
    r"(?:[ ]?-?[ ]?\d{6})?"
)
_GREEK = re.compile(
    r"(?:(?:οδός|Οδός|οδού|Λεωφόρος|λεωφόρος|Λεωφ\.|Λ\.|πλατεία|Πλατεία)[ ])[Α-ΩΆ-Ώ][\w.\-]{1,24}"
    r"(?:[ ][Α-ΩΆ-Ώ][\w.\-]{1,24}){0,2}[ ]\d{1,4}(?:,[ ](?:\d{3}[ ]\d\d[ ])?[Α-ΩΆ-Ώ][\w\-]{2,20})?"
)
_VIETNAMESE = re.compile(
    rf"(?:[Ss]ố(?:[ ]nhà)?[ ])?\d{{1,4}}[A-Za-z]?(?:/\d{{1,4}}){{0,3}},?[ ](?:(?:[Đđ]ường|[Pp]hố|[Nn]gõ"
    rf"|[Hh]ẻm|[Nn]gách)[ ])?(?:{_WORD}|\d{{1,3}})(?:[ ](?:{_WORD}|\d{{1,3}})){{0,4}}"
    rf"(?:,[ ](?:{_WORD}|phường|quận|huyện|xã|thành|tỉnh)(?:[ ](?:{_WORD}|\d{{1,2}}|phố)){{0,4}}){{1,5}}"
)
_VIETNAMESE_PART = re.compile(
    r"(?i)phường|quận|huyện|\bxã|thành phố|\btp\.|\bp\.|\bq\.|đường|ngõ|hẻm|hà nội|hồ chí minh|đà nẵng"
)
_INDONESIAN = re.compile(
    rf"(?<!\w)(?:Jl|Jln|Jalan|JL|Gg|Gang|Perumahan|Perum|Komplek|Komp)\.?[ ]{_WORD}(?:[ ](?:{_WORD}"
    rf"|[IVX]{{1,4}}|\d{{1,3}}(?!\d))){{0,4}}?,?[ ](?:(?:No|Nomor|Blok"
    rf"|Kav)\.?[ ]?)?[A-Z]?\d{{1,4}}[A-Za-z]?(?:[/\-]\d{{1,4}})?"
    rf"(?:,?[ ]RT[ .]?\d{{1,3}}[ ]?/[ ]?(?:RW[ .]?)?\d{{1,3}})?(?:,[ ](?:(?:Kel|Kec|Kab|Kota"
    rf"|Desa)\.?[ ])?{_WORD}(?:[ ]{_WORD}){{0,2}}){{0,4}}(?:,?[ ]\d{{5}}(?!\d))?"
)
_TURKISH = re.compile(
    rf"(?:{_WORD}(?:[ ]{_WORD}){{0,2}}[ ](?:Mah|Mahallesi|Mh)\.?,?[ ])?(?:\d{{1,4}}\.?|{_WORD})"
    rf"(?:[ ]{_WORD}){{0,3}}[ ](?:Cad|Caddesi|Cd|Sok|Sokak|Sokağı|Sk|Bulvarı|Blv|Bulv)\.?,?[ ]"
    rf"(?:No[.:]?[ ]?)\d{{1,4}}(?:[/\-]\w{{1,4}})?"
    rf"(?:,?[ ](?:(?:Daire|D|Kat|K|Blok|Apt)[.:]?[ ]?[\dA-Z]{{1,4}}(?!\w))){{0,3}}(?:,?[ ]"
    rf"(?:\d{{5}}[ ])?{_WORD}(?:[ ]{_WORD})?(?:[ ]?/[ ]?{_WORD})?)?"
)
_ROMANISED = re.compile(  # Korea and Japan in Latin letters
    rf"(?:(?:No\.?[ ]?)?\d{{1,4}}(?:-\d{{1,4}}){{0,3}},?[ ](?:{_WORD}[ ])?[A-Z][a-z]{{1,20}}(?:-(?:ro"
    rf"|gil|daero|dong|cho|machi))?(?:[ ]\d{{1,3}}(?:beon)?-gil)?,[ ])(?:[A-Z][a-z]{{1,20}}-(?:gu|si"
    rf"|gun|ku|shi|do|dong|cho)[,]?[ ]?){{1,3}}(?:,?[ ]?[A-Z][a-z]{{2,16}}){{0,2}}(?:,?[ ](?:\d{{5}}"
    rf"|\d{{3}}-\d{{4}})(?!\d))?(?:,[ ](?:South[ ])?[A-Z][a-z]{{2,10}})?"
)
_LATIN_AMERICAN = re.compile(
    rf"(?<!\w)(?:Calle|Carrera|Cra|Cl|Kra|Diagonal|Transversal|Avenida|Av)\.?[ ]\d{{1,3}}[A-Z]?(?:[ ]"
    rf"(?:[Bb]is|Sur|Norte))?[ ]?(?:\#|No\.?|[Nn]°)[ ]?\d{{1,3}}[A-Z]?[ ]?-[ ]?\d{{1,3}}(?:,[ ]{_WORD}"
    rf"(?:[ ]{_WORD}){{0,2}}){{0,3}}"
)
_SCRIPTS: Final[tuple[tuple[re.Pattern[str], int, re.Pattern[str]], ...]] = tuple(
    (re.compile(hint), back, form)
    for hint, back, form in (
        (r"(?:大道|大街|胡同|路|街|巷|弄|里|村|道|段)[0-9一二三四五六七八九十百]{1,5}(?:号|號|弄|巷|段)", 60, _CHINESE),
        (r"[市区郡町村県都府][\u3400-\u9fff\u3041-\u30ff]{0,12}?"
         r"[0-9一二三四五六七八九十]{1,4}(?:丁目|番|-[0-9])", 50, _JAPANESE),
        (r"(?:시|군|구)[ ][가-힣0-9 ]{1,30}?\d", 24, _KOREAN),
        (rf"(?i)(?<![\w])(?:{_RUSSIAN_KINDS})\b[.,]?[ ]", 60, _RUSSIAN),
        (r"(?:شارع|طريق|جادة|زقاق|خیابان|کوچه|بلوار)[ ]", 30, _ARABIC),
        (r"(?:רחוב|רח'|שדרות|שד'|דרך|סמטת|שביל)[ ]", 0, _HEBREW),
        (r"(?:ถนน|ถ\.)", 70, _THAI),
        (r"(?:मकान|फ्लैट|प्लॉट|घर|दुकान)[ ]", 0, _HINDI),
        (r"(?:οδός|Οδός|οδού|Λεωφόρος|λεωφόρος|Λεωφ\.|Λ\.|πλατεία|Πλατεία)[ ]", 0, _GREEK),
        (r"(?:Cad|Caddesi|Cd|Sok|Sokak|Sokağı|Sk|Bulvarı|Blv|Bulv)\.?,?[ ]No", 70, _TURKISH),
        (r"(?:Jl|Jln|Jalan|JL|Gg|Gang|Perumahan|Perum|Komplek|Komp)\.?[ ]", 0, _INDONESIAN),
        (r"-(?:gu|si|gun|ku|shi|do)[, ]", 70, _ROMANISED),
        (r"(?:Calle|Carrera|Cra|Cl|Kra|Diagonal|Transversal|Avenida|Av)\.?[ ]\d", 0, _LATIN_AMERICAN),
    )
)  # fmt: skip
"""(what stands in each, how far before it the address may begin, form)."""
_IN_LATIN_LETTERS: Final = frozenset((_TURKISH, _INDONESIAN, _ROMANISED, _LATIN_AMERICAN))
_NEEDS_NUMBER: Final = frozenset((_ARABIC, _RUSSIAN))


@detector(
    kind="ADDRESS",
    family="place",
    triggers=lambda seen: seen.has_digit and bool(seen.words),
    examples=("Am Alten Markt 3, 01067 Dresden", "北京市海淀区中关村大街27号3单元502室"),
)
def find_postal(text: str) -> Iterator[Span]:
    """Addresses in the orders and scripts of thirty countries, whole with postcode and town."""
    for start, end in (*_coded(text), *_chains(text), *_in_scripts(text), *_vietnamese(text)):
        end = start + len(text[start:end].rstrip(" ,،\n-"))
        yield Span(start, end, "ADDRESS", "pattern:postal", 0.8)


def _coded(text: str) -> Iterator[tuple[int, int]]:
    """A street and number before a postcode with its town, or behind them."""
    for town in _CODED_TOWN.finditer(text):
        line = max(0, town.start() - 90)
        before = _STREET_BEFORE.search(text, line, town.start())
        if before and _is_street(before, town):
            yield before.start("street") + _lead(before["street"]), town.end()
        elif behind := _BEHIND_TOWN.match(text, town.end()):
            yield town.start(), behind.end()


def _lead(street: str) -> int:
    """How many letters stand before the street: "Deliver to Am Markt 3" begins at "Am"."""
    small = re.match(rf"(?:{_SMALL}[ ])+(?=[{_BIG}])", street)
    return small.end() if small else 0


def _is_street(street: re.Match[str], town: re.Match[str]) -> bool:
    first = re.match(r"[^\W\d_]+", street["street"])
    if first is None or first[0].lower() in _NOT_STREETS:
        return False
    doubtful = _YEAR.match(town[0]) or re.match(r"\d{1,2}000 ", town[0])
    return not doubtful or _STREET_LIKE.search(street["street"]) is not None


def _chains(text: str) -> Iterator[tuple[int, int]]:
    """Parts behind each other that begin with a flat, a villa, a plot."""
    for at in places(text, _CHAIN_WORDS):
        if (match := _CHAIN.match(text, at)) and not _of_a_book(match):
            yield match.span()


def _of_a_book(chain: re.Match[str]) -> bool:
    """ "Unit 5, Lesson 3, Exercise 2": no part of it is a place."""
    first = [part.split()[0].lower() for part in chain["parts"].split(",") if part.strip()]
    if any(word in _NOT_STREETS for word in first):
        return True
    sure = chain[0].startswith(("Flat", "Apt", "Apartment", "Villa", "Plot", "H", "D", "Shop", "Office"))
    return not sure and not _STREET_LIKE.search(chain["parts"]) and not re.search(r"\d{6}$", chain[0])


def _in_scripts(text: str) -> Iterator[tuple[int, int]]:
    plain = text.isascii()
    for hint, back, form in _SCRIPTS:
        done = 0
        if plain and form not in _IN_LATIN_LETTERS:
            continue
        for word in hint.finditer(text):
            match = form.search(text, max(done, word.start() - back), min(len(text), word.end() + 120))
            if match is None or not (match.start() <= word.start() < match.end()):
                match = form.match(text, word.start(), min(len(text), word.end() + 120))
            if match is None or (form in _NEEDS_NUMBER and not any(c.isdigit() for c in match[0])):
                continue
            start = match.start()
            if form in (_CHINESE, _JAPANESE) and (lead := _LEAD.match(text, start, match.end())):
                start = lead.end()
            done = match.end()
            yield start, done


def _vietnamese(text: str) -> Iterator[tuple[int, int]]:
    if _VIETNAMESE_PART.search(text):
        for match in _VIETNAMESE.finditer(text):
            if _VIETNAMESE_PART.search(match[0]):
                yield match.span()
