"""Names in many scripts are hidden whole, and what is nobody's stays: cases that the detector of names never saw.

The bars are shares, as a network is right mostly and not always; `netgpt bench field` has the figures by group.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from netgpt.errors import SettingsError
from netgpt.privacy.detector import Finder, LocalDetector
from netgpt.privacy.figures import FIGURE, figures, find_figures, is_figure
from netgpt.privacy.kinds import EXACT, PLACEHOLDER
from netgpt.privacy.scripts import LANGUAGES, checked, unread_scripts
from netgpt.privacy.vault import Vault
from netgpt.types import Terms

NAMES = """
Leite das Schreiben bitte an Hannelore Kirchgässner weiter.|Hannelore Kirchgässner
Quand est-ce que Maëlys Guérin-Boutaud revient de congé ?|Maëlys Guérin-Boutaud
Avisa a Itziar Etxeberria de que el paquete ha llegado.|Itziar Etxeberria
La signora Ornella Sciarrabba ha perso le chiavi della cantina.|Ornella Sciarrabba
O senhor Valdemir Nepomuceno pediu o boleto de novo.|Valdemir Nepomuceno
Mevrouw Machteld Terpstra komt morgen om de sleutel.|Machteld Terpstra
Kan du ringa Torbjörn Ekedahl innan lunch?|Torbjörn Ekedahl
Soita Tuulikki Hyvöselle ennen kuutta.|Tuulikki Hyvöselle
Czy Bożena Szczygielska dostała już umowę?|Bożena Szczygielska
Zavolejte prosím panu Zdeňkovi Hruškovi kvůli plotu.|Zdeňkovi Hruškovi
Kérem, szóljon Szilágyi Borbálának a kulcsról.|Szilágyi Borbálának
Spune-i lui Costel Drăgulescu că a venit coletul.|Costel Drăgulescu
Напомните Зинаиде Протасовой про оплату до пятницы.|Зинаиде Протасовой
Чи заплатив Орест Байрачний за ремонт даху?|Орест Байрачний
Пишете на Десислава Караиванова за ключа.|Десислава Караиванова
Η Ευτυχία Παπανδρέου-Λάμπρου δεν πλήρωσε το νοίκι.|Ευτυχία Παπανδρέου-Λάμπρου
Şükran Karabıyık dün yine aramış.|Şükran Karabıyık
Tolong kabari Wulandari Prasetyaningrum soal pipa bocor.|Wulandari Prasetyaningrum
Nhờ bạn nhắn chị Lưu Thị Ngọc Diệp về hóa đơn tiền điện.|Lưu Thị Ngọc Diệp
请通知欧阳雪梅下周来复诊。|欧阳雪梅
昨天司马建国打电话说水管坏了。|司马建国
請幫我寫信給范姜志豪說明會議改期。|范姜志豪
明日の打ち合わせについて、長谷川美智子さんにメールしてください。|長谷川美智子
中島さんが鍵を忘れたそうです。|中島
선우재덕 씨에게 회의 시간을 알려 주세요.|선우재덕
어제 남궁민지가 보일러 고장으로 전화했어요.|남궁민지
ฝากบอกคุณพิมพ์ชนก วงศ์สวัสดิ์ว่าพัสดุมาถึงแล้ว|พิมพ์ชนก วงศ์สวัสดิ์
اكتب رسالة قصيرة إلى عبد الرحمن الشنقيطي عن الاجتماع.|عبد الرحمن الشنقيطي
لطفاً به خانم شهرزاد کیانفر پیام بده.|شهرزاد کیانفر
תכתוב בבקשה הודעה לאביגיל שטרנהל על הפגישה.|אביגיל שטרנהל
कृपया श्रीमती वैजयंती कुलश्रेष्ठ को बिल के बारे में बताइए।|वैजयंती कुलश्रेष्ठ
திரு. செந்தில்நாதன் பழனிசாமி நேற்று தொலைபேசியில் அழைத்தார்.|செந்தில்நாதன் பழனிசாமி
Is Oluwaseun Adebayo-Thompson older than Siobhán Ní Dhonnchadha?|Oluwaseun Adebayo-Thompson;Siobhán Ní Dhonnchadha
can you tell marguerite delacroix-whitby that the boiler man comes at nine|marguerite delacroix-whitby
Please ask Zhu Lingyun whether the invoice was paid.|Zhu Lingyun
Bang Hyeonseok said that the flat is too cold.|Bang Hyeonseok
""".strip().splitlines()

HARMLESS = """
Wie funktioniert ein Wärmetauscher?
Nenne mir drei Gründe für den Fall der Berliner Mauer.
Comment faire lever une pâte à pizza plus vite ?
Explique la différence entre le fascisme et le totalitarisme.
¿Cuántos huesos tiene el cuerpo humano?
Escribe un correo formal para cancelar una suscripción.
Come si calcola l'area di un trapezio?
Qual é a diferença entre energia cinética e potencial?
Waarom is de lucht blauw?
Vad betyder ordet lagom på engelska?
Miten perunat keitetään mikroaaltouunissa?
Jak napisać podanie o urlop?
Jaký je rozdíl mezi virem a bakterií?
Mi a különbség a köd és a felhő között?
Scrie o poezie scurtă despre toamnă.
Как приготовить гречневую кашу в мультиварке?
Поясни теорему Піфагора простими словами.
Πώς φτιάχνω παραδοσιακή φασολάδα;
Türkiye'nin en uzun nehri hangisidir?
Bagaimana cara membuat tempe di rumah?
Làm thế nào để học tiếng Anh hiệu quả hơn?
用简单的语言解释什么是黑洞。
請推薦三道適合夏天的涼拌菜。
自転車のパンクを直す方法を教えてください。
비 오는 날에 어울리는 노래를 추천해 줘.
วิธีทำข้าวผัดให้อร่อย
ما الفرق بين الفيروس والبكتيريا؟
چطور می‌توانم زودتر بخوابم؟
איך מכינים קפה שחור טוב?
प्रकाश संश्लेषण को सरल शब्दों में समझाइए।
மழை எப்படி உருவாகிறது?
Why does `docker compose up` exit with code 125 on Debian 12?
Compare Spinoza and Leibniz on substance.
What happened on 9 November 1989?
Plan a weekend in Vienna.
Does the Shapiro-Wilk test need normal residuals?
Write a Redis Lua script that expires a key after 900 seconds.
Is paracetamol safe together with amoxicillin?
Summarise the plot of Pride and Prejudice.
kubectl logs -f deploy/api --since=15m | grep -c 502
""".strip().splitlines()


@pytest.fixture(scope="module")
def finder() -> Finder:
    return Finder()


def judged(finder: Finder) -> Iterator[tuple[str, set[int], set[int]]]:
    """For each row the places of letters in its names, and those that are hidden."""
    for row in NAMES:
        text, names = row.split("|")
        [spans] = finder.find([text], (), None)
        places = {i for name in names.split(";") for i in range(text.index(name), text.index(name) + len(name))}
        hidden = {i for span in spans for i in range(span.start, span.end)}
        yield text, {i for i in places if text[i].isalnum()}, hidden


def test_names_in_many_scripts_are_hidden_whole(finder: Finder) -> None:
    missed = [text for text, named, hidden in judged(finder) if not named <= hidden]
    assert len(missed) <= 0.1 * len(NAMES), missed


def test_other_letters_beside_names_stay(finder: Finder) -> None:
    others = touched = 0
    for text, named, hidden in judged(finder):
        rest = {i for i, c in enumerate(text) if c.isalnum()} - named
        others += len(rest)
        touched += len(rest & hidden)
    assert touched <= 0.06 * others


def test_what_is_nobodys_stays(finder: Finder) -> None:
    touched = [text for text, spans in zip(HARMLESS, finder.find(HARMLESS, (), None), strict=True) if spans]
    assert len(touched) <= 0.1 * len(HARMLESS), touched


def test_a_name_found_once_is_found_again_in_a_script_without_blanks(finder: Finder) -> None:
    texts = ["请通知欧阳雪梅下周来复诊。", "记录:欧阳雪梅已付款"]
    found = finder.find(texts, (), None)
    assert any(texts[1][span.start : span.end] == "欧阳雪梅" for span in found[1])


def test_figures_are_known_by_their_names() -> None:
    assert is_figure("Haruki Murakami") and not is_figure("Zanele Khumalo")
    text = "Did Marie Curie ever meet Einstein?"
    assert [text[span.start : span.end] for span in find_figures(text)] == ["Marie Curie", "Einstein"]
    assert not list(find_figures("who was marie curie"))
    assert len(figures()) > 2_000


def test_scripts_that_are_not_read_are_said() -> None:
    assert unread_scripts("Hello, Привет, 你好", ("all",)) == ()
    assert unread_scripts("ជំរាបសួរ and Привет", ("all",)) == ("Khmer",)
    assert unread_scripts("Привет", ("en", "de")) == ("Cyrillic",)


def test_a_language_that_nobody_learnt_is_refused() -> None:
    with pytest.raises(SettingsError, match=r'privacy\.languages: "xx" is not one'):
        checked(["de", "xx"])
    assert len(LANGUAGES) >= 45


def test_names_are_not_looked_for_in_a_script_that_is_left_out() -> None:
    from netgpt.privacy.ner import NameFinder

    text = "Напомните Зинаиде Протасовой про оплату."
    assert Finder().find([text], (), None)[0]
    assert not Finder(NameFinder(languages=("en", "de"))).find([text], (), None)[0]


ASKED = {"model": "m", "messages": [{"role": "user", "content": "Compare Kant and Hegel on freedom."}]}


async def test_known_people_who_are_asked_about_may_leave() -> None:
    outbound = await Vault().seal(ASKED, LocalDetector())
    assert b"Kant and Hegel" in outbound.content


def hide_figures(kind: str, public: bool) -> Terms:
    """A policy that lets no name leave, not even one that everybody knows."""
    return Terms(((EXACT if public and kind != FIGURE else PLACEHOLDER, ""),), "")


@pytest.mark.parametrize("options", [{"public_figures": False}, {"terms": hide_figures}])
async def test_known_people_are_hidden_where_the_owner_or_the_policy_wants_it(options: dict[str, Any]) -> None:
    outbound = await Vault().seal(ASKED, LocalDetector(), **options)
    assert b"Kant" not in outbound.content and b"Hegel" not in outbound.content
    assert {hidden.kind for hidden in outbound.hidden} == {"PERSON"}


async def test_a_text_in_a_script_that_is_not_read_leaves_and_is_said() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "ជំរាបសួរ, write to ada@mill.example"}]}
    outbound = await Vault().seal(body, LocalDetector())
    assert "ជំរាបសួរ".encode() in outbound.content and b"ada@mill" not in outbound.content
    assert [(g.kind, g.was, g.policy_rule) for g in outbound.generalised] == [
        ("TEXT", "Khmer script", "privacy.languages")
    ]


@pytest.mark.parametrize("name", ["Dafydd Prydderch", "Uwe Pfannkuch", "Heike Gruenwald", "Machteld Terpstra"])
def test_a_name_that_is_the_whole_text_is_found(finder: Finder, name: str) -> None:
    [spans] = finder.find([name], (), None)
    assert [(span.start, span.end) for span in spans] == [(0, len(name))]


@pytest.mark.parametrize(
    "label", ["Total Amount", "Shipping Address", "Monthly Report", "Machine Learning", "Thank You"]
)
def test_a_label_that_is_the_whole_text_stays(finder: Finder, label: str) -> None:
    assert finder.find([label], (), None) == [[]]
