"""The protocol in Spanish and Portuguese: what people type is understood, what is said keeps the rules of copy."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from unicodedata import normalize

import pytest

from warmline.agent.copy import Copy
from warmline.agent.protocol.choose import Chosen
from warmline.agent.protocol.playbook import DATA, VARIANTS, Kind, Playbooks, load_playbooks
from warmline.agent.protocol.state import Answer
from warmline.agent.protocol.understand import Heard, load_answers, plain, understand
from warmline.agent.protocol.walk import Step, Walk
from warmline.guards.filter import CrisisFilter
from warmline.guards.hotlines import Directory
from warmline.guards.types import Category, RiskLevel, Subject, Verdict

YES, NO, UNCLEAR, REFUSED = Answer.YES, Answer.NO, Answer.UNCLEAR, Answer.REFUSED
CALM = Verdict(level=RiskLevel.NONE)
FILTER, DIRECTORY = CrisisFilter(), Directory.load()


@dataclass(frozen=True)
class Spoken:
    """What people type in one language, and what it means. Texts stand between bars and line ends."""

    language: str
    answers: Mapping[str, Mapping[Answer, str]]
    """By open question."""
    never_no: str
    """Said in despair: may begin with a "no", and is no denial."""
    acts: Mapping[str, str]
    no_acts: Mapping[str, str]
    barriers: Mapping[str, str]
    flags: Mapping[str, str]
    no_flags: Mapping[str, str]
    states: Mapping[str, str]
    no_states: Mapping[str, str]
    reflect: Mapping[str, str]
    who: Mapping[str, str]


SPANISH = Spoken(
    language="es",
    answers={
        "thoughts": {
            YES: """
            sí | si | siii | Sí. | sip | aja | pues si | la verdad es que sí | a veces | aveces si
            de vez en cuando | mas o menos | un poco | ultimamente si | todos los dias | todas las noches
            se me pasa por la cabeza | se me cruza por la mente | claro | obvio | quizas si | no quiero vivir
            no, solo quiero dormir y no despertar | solo quiero que pare | quiero que todo se acabe
            ojala estuviera muerta | quisiera no haber nacido | me quiero morir | tengo ganas de desaparecer
            estarían mejor sin mí | he pensado en suicidarme | sí, pienso en quitarme la vida | cómo lo supiste
            no quiero seguir viviendo | me dan ganas de morirme | supongo que sí | si lo he pensado
            no puedo dejar de pensar en matarme
            """,
            NO: """
            no | No. | noo | nop | nel | nunca | para nada | claro que no | que va | ni loca | jamás
            no, nunca lo haría | no quiero morir | no me quiero morir | no pienso en eso | no voy a matarme
            no estoy pensando en suicidarme | dios no | jaja no | no, para nada | creo que no | no soy suicida
            no es para tanto
            """,
            UNCLEAR: """
            no sé | nose | no se | ns | ni idea | no estoy seguro | no estoy segura | quien sabe | depende
            no lo tengo claro | ¿tú qué crees? | que se yo | ni yo sé
            """,
            REFUSED: """
            no quiero hablar de eso | prefiero no decirlo | prefiero no responder | qué te importa
            no es asunto tuyo | déjame en paz | deja de preguntar | y a ti qué te importa | paso | qué más da
            no te voy a contar | no me preguntes eso | no voy a contestar | no tengo ganas de hablar
            """,
        },
        "plan": {
            YES: """
            si | sí, tengo un plan | ya sé cómo | con pastillas | escribí una carta | lo tengo todo pensado
            busqué en internet | más o menos | lo tengo decidido
            """,
            NO: """
            no | no tengo plan | ningún plan | nada concreto | solo son pensamientos | no he pensado en eso
            no, sin plan | solo pensamientos | no he llegado a tanto | todavía no
            """,
            UNCLEAR: """
            no sé | ni idea
            """,
            REFUSED: """
            no te lo digo | no quiero entrar en eso | prefiero no decir
            """,
        },
        "intent": {
            YES: """
            sí | lo voy a hacer | creo que lo haré | tengo miedo de hacerlo | probablemente | puede que lo haga
            podría | 10 | a veces | quizás | en cualquier momento
            """,
            NO: """
            no | no lo haría | nunca lo haría | por mis hijos no | no me atrevo | no quiero morir | no, por mi perro
            probablemente no | no creo que lo haga | 0 | no sería capaz
            """,
            UNCLEAR: """
            no lo sé | nose
            """,
        },
        "means": {
            YES: """
            sí | en mi cajón | las tengo aquí | están en mi cuarto | tengo todo lo que necesito
            al lado mío tengo las pastillas
            """,
            NO: """
            no | las tiré | no tengo nada | se las di a mi madre | no aquí | ya no las tengo
            tendría que comprarlas
            """,
        },
        "time": {
            YES: """
            esta noche | hoy | mañana | pronto | cuando todos duerman | el viernes | ahorita
            """,
            NO: """
            no | todavía no | algún día | no tengo fecha | no he pensado cuándo
            """,
        },
        "safe": {
            YES: """
            sí | estoy a salvo | estoy bien | por ahora sí | creo que sí | si estoy segura
            """,
            NO: """
            no | no mucho | no estoy a salvo | no lo sé | no me siento segura | él está en casa
            mi padrastro está en la sala
            """,
        },
        "with_someone": {
            YES: """
            mi hermana está aquí | sí, mi mamá | mis papás están abajo | estoy con un amigo
            """,
            NO: """
            no | estoy sola | estoy solo | solo yo | nadie | sola | no hay nadie | todos duermen | vivo sola
            """,
        },
        "away": {
            YES: """
            ya lo hice | las tiré | se las di a mi hermano | ok voy | listo | salí del cuarto
            """,
            NO: """
            no puedo | no quiero | para qué | las necesito
            """,
        },
        "reached": {
            YES: """
            estoy llamando | ya llamé | les escribí | voy a llamar
            """,
            NO: """
            no puedo | no | no tengo saldo | todavía no | me da miedo | no contestan
            """,
        },
        "line_use": {
            YES: """
            vale | ok | dale | bueno | sí | podría escribir | lo intentaré | quizás llame | si empeora llamo | claro
            está bien | sale
            """,
            NO: """
            no | no puedo | nunca | odio llamar | para qué | no creo | me da vergüenza | no me gusta
            no quiero llamar
            """,
            UNCLEAR: """
            no sé | quizás | tal vez | puede ser
            """,
        },
        "people": {
            YES: """
            mi hermana | mi mejor amigo | una profe | sí | quizás mi tía | a mi mamá
            """,
            NO: """
            no | nadie | no tengo a nadie | no tengo amigos | no quiero que mi mamá se entere | no me entenderían
            a nadie
            """,
        },
        "care": {
            YES: """
            tengo psicóloga | sí | voy al psiquiatra | mi terapeuta
            """,
            NO: """
            no | nunca | no puedo pagarlo | antes iba | lo dejé
            """,
        },
        "breathing": {
            NO: """
            no puedo respirar bien | no | me cuesta | me estoy durmiendo | tengo sueño
            """,
            YES: """
            sí | respiro bien | estoy despierto | normal
            """,
        },
        "body": {
            YES: """
            me desmayé | mareos | me duele el pecho | sí | un poco mareada | se me acelera el corazón
            """,
            NO: """
            no | me siento bien | todo bien
            """,
        },
        "commands": {
            YES: """
            me dicen que me mate | sí | me ordenan cosas | a veces
            """,
            NO: """
            no | solo hablan | no me dicen nada | son solo ruidos
            """,
        },
        "urge": {
            YES: """
            sí | un poco | a veces | muchas
            """,
            NO: """
            no | ahora no | ya no
            """,
        },
        "reach_out": {
            YES: """
            vale | ok | bueno | puedo intentarlo | le voy a escribir | dale | de acuerdo
            """,
            NO: """
            no puedo | no me atrevo | no | me da miedo | ahora no
            """,
        },
        "skill_felt": {
            YES: """
            un poco mejor | sí | ayudó | más calma
            """,
            NO: """
            no | nada | sigo igual | peor
            """,
        },
        "they_danger": {
            YES: """
            tiene pastillas | no contesta el teléfono | dejó una carta
            """,
            UNCLEAR: """
            no sé | creo | espero que no
            """,
        },
        "took": {
            YES: """
            me tomé muchas pastillas | he bebido mucho | sí | tomé de más
            """,
            NO: """
            no | nada
            """,
        },
        "near": {
            YES: """
            está abajo | sí | está en casa | en el cuarto
            """,
            NO: """
            no | salió | está en el trabajo | se fue
            """,
        },
    },
    never_no="""
    no aguanto más | no puedo más | ya no puedo | no quiero seguir | no quiero estar aquí | nadie me quiere
    nada tiene sentido | nada me importa ya | no sirvo para nada | no quiero nada ya | nunca voy a ser feliz
    ya no quiero | no me importaría morirme | no me importa nada | no doy para más | nadie me va a extrañar
    no veo salida | no tengo ganas de vivir | no sé, quiero morirme | no hay salida | no y sí
    no puedo con esto, quiero irme | si no fuera por mi hijo ya lo habría hecho | jamás estaré bien
    no, solo quiero dejar de existir | no valgo nada
    """,
    acts={
        "stop_asking": """
        deja de hacerme preguntas | dejame tranquila
        """,
        "refusal": """
        déjame en paz | no quiero hablar de eso
        """,
        "joke": """
        jajaja
        """,
        "retraction": """
        jaja era broma | olvídalo, era broma | no lo dije en serio
        """,
        "angry": """
        vete a la mierda | no sirves para nada | eres un inútil | estúpido robot
        """,
        "asks_human": """
        ¿eres un robot? | sos una persona? | ¿estoy hablando con una persona real? | quiero hablar con una persona
        eres una ia verdad
        """,
        "asks_who_sees": """
        ¿vas a llamar a la policía? | no le digas a mis padres | ¿esto es confidencial? | quién lee esto
        """,
        "asks_line_works": """
        qué pasa si llamo | ¿es gratis?
        """,
        "asks_number": """
        cuál era el número | dame el número otra vez | a quién puedo llamar
        """,
        "worse": """
        estoy cada vez peor | ya no puedo más | no aguanto más | no doy más | me rindo | es demasiado
        """,
        "better": """
        me siento un poco mejor | estoy más tranquila | eso me ayudó | mejor, gracias | ya estoy bien
        """,
        "thanks": """
        gracias | mil gracias por escucharme
        """,
        "goodbye": """
        adiós | buenas noches | me voy a dormir | chau | tengo que irme
        """,
        "final_goodbye": """
        adiós para siempre | hasta aquí llegué | esta noche se acaba todo
        """,
        "thinks_stuck": """
        nada va a cambiar | no le veo sentido a nada | para qué seguir
        """,
        "off_topic": """
        cuál es tu película favorita | hablemos de otra cosa | ¿te gusta el fútbol?
        """,
        "wants_plan": """
        hagamos un plan de seguridad
        """,
        "wants_skill": """
        cómo puedo calmarme | me está dando un ataque de pánico
        """,
        "wants_therapist": """
        cómo encuentro un psicólogo | necesito un psicólogo
        """,
        "wants_method": """
        cuántas pastillas hacen falta para morir | cuál es la forma menos dolorosa de morir
        """,
        "asks_why": """
        por qué preguntas | xq me preguntas eso
        """,
        "hurt_by_somebody": """
        mi marido me pegó anoche | mi papá me pega
        """,
    },
    no_acts={
        "angry": """
        soy un inútil | me siento estúpida | mi novio dice que es una mierda
        """,
        "thanks": """
        gracias a Dios no | gracias por nada
        """,
        "better": """
        no estoy mejor | estarían mejor sin mí | nada me ayuda
        """,
        "goodbye": """
        quiero dormir para siempre
        """,
        "wants_method": """
        no pienso en cómo morir
        """,
        "worse": """
        no puedo más de la risa
        """,
        "off_topic": """
        qué sentido tiene vivir | mi jefe me despidió
        """,
    },
    barriers={
        "cost": """
        no puedo pagarlo | es muy caro | no tengo dinero | no tengo plata
        """,
        "shame": """
        me da mucha vergüenza | qué van a pensar
        """,
        "burden": """
        no quiero ser una carga | no quiero molestar a nadie | hay gente peor
        """,
        "police": """
        llamarían a la policía
        """,
        "hospital": """
        me van a encerrar | me internarían en un psiquiátrico | me quitarían a mis hijos
        """,
        "hopeless": """
        nada ayuda | no sirve de nada | ya lo intenté y me colgaron
        """,
        "waiting": """
        hay lista de espera de seis meses | no hay citas hasta enero
        """,
        "language": """
        no hablo bien español
        """,
        "immigration": """
        no tengo papeles | me pueden deportar
        """,
        "minor": """
        mis padres se enterarían | soy menor de edad
        """,
        "therapist_already": """
        ya tengo psicóloga
        """,
        "calling": """
        odio hablar por teléfono | no sabría qué decir | me da ansiedad llamar | no tengo saldo
        """,
        "others_listening": """
        me van a oír | me escucharía mi mamá
        """,
        "trust": """
        no confío en nadie | no me creyeron | son desconocidos
        """,
    },
    flags={
        "minor": """
        tengo 14 | tengo 15 años | estoy en segundo de la eso | soy menor de edad
        """,
        "deaf": """
        soy sorda
        """,
        "cannot_speak": """
        no puedo hablar ahora | está en el cuarto de al lado
        """,
        "alone": """
        vivo sola | estoy solo
        """,
        "watched": """
        me revisa el celular | él me mira el móvil
        """,
    },
    no_flags={
        "minor": """
        mi hijo tiene 14 años | cuando tenía 14 años | tengo 34 años | tengo 15 años sin beber
        tengo 16 semanas de embarazo
        """,
    },
    states={
        "thoughts:yes": """
        quiero matarme | me quiero morir
        """,
        "thoughts:no": """
        no me quiero morir | no pienso en suicidarme
        """,
        "plan:no": """
        no tengo ningún plan
        """,
        "time:yes": """
        lo voy a hacer esta noche
        """,
        "means:yes": """
        tengo las pastillas aquí
        """,
        "away:yes": """
        le di las pastillas a mi hermana
        """,
        "means:no": """
        tiré las pastillas
        """,
        "with_someone:yes": """
        mi hermana está aquí
        """,
        "with_someone:no": """
        estoy sola en casa
        """,
        "reached:yes": """
        acabo de llamar
        """,
        "body:yes": """
        me mareo mucho
        """,
        "safe:yes": """
        estoy a salvo
        """,
        "commands:yes": """
        las voces me dicen que me mate
        """,
        "took:yes": """
        me tomé un frasco de pastillas
        """,
        "hurt:yes": """
        me acabo de cortar
        """,
        "intent:no": """
        nunca lo haría
        """,
        "intent:yes": """
        voy a hacerlo
        """,
    },
    no_states={
        "thoughts:yes": """
        no quiero matarme | no he pensado en suicidarme
        """,
        "thoughts:no": """
        no quiero morir pero a veces sí | tengo miedo de querer morir
        """,
        "means:yes": """
        no tengo pastillas
        """,
        "away:yes": """
        no le di las pastillas
        """,
        "safe:yes": """
        no estoy a salvo | no estoy seguro de nada | estoy segura de que me odia
        """,
    },
    reflect={
        "la pérdida de alguien que quieres": """
        desde el funeral nada tiene sentido
        """,
        "la pérdida del trabajo": """
        perdí mi trabajo
        """,
        "la ruptura": """
        mi novia me dejó
        """,
        "tanta soledad": """
        me siento muy sola
        """,
        "la sensación de ser una carga": """
        soy una carga
        """,
        "la falta de sueño": """
        no puedo dormir
        """,
    },
    who={
        "tu hermano": """
        mi hermano pequeño me dijo algo
        """,
        "tu madre": """
        mi mamá
        """,
        "tu hija": """
        estoy preocupada por mi hija
        """,
        "tu amiga": """
        una amiga me dijo que
        """,
    },
)

LANGUAGES = (SPANISH,)


def texts_of(block: str) -> list[str]:
    return [text.strip() for text in re.split(r"[|\n]", block) if text.strip()]


def cases(name: str) -> Iterator[tuple[str, str, str]]:
    """Language, text and meaning of one group."""
    for spoken in LANGUAGES:
        for meaning, block in getattr(spoken, name).items():
            yield from ((spoken.language, text, meaning) for text in texts_of(block))


@cache
def playbooks(language: str) -> Playbooks:
    return load_playbooks(language)


def heard(language: str, text: str, pending: str | None = None) -> Heard:
    topic = playbooks(language).topics.get(pending or "")
    rules = load_answers(DATA / "answers" / f"{language}.yaml")
    return understand(text, pending, CALM, rules, soft=bool(topic and topic.soft), offer=bool(topic and topic.offer))


ANSWERS = [
    (spoken.language, topic, text, answer)
    for spoken in LANGUAGES
    for topic, by in spoken.answers.items()
    for answer, block in by.items()
    for text in texts_of(block)
]


class TestWhatPeopleType:
    @pytest.mark.parametrize(("language", "topic", "text", "answer"), ANSWERS)
    def test_an_answer_is_understood(self, language: str, topic: str, text: str, answer: Answer) -> None:
        assert heard(language, text, topic).answer is answer

    @pytest.mark.parametrize("spoken", LANGUAGES, ids=lambda spoken: spoken.language)
    def test_accents_may_be_left_out(self, spoken: Spoken) -> None:
        blocks = [block for by in spoken.answers.values() for block in by.values()]
        accented = [text for block in blocks for text in texts_of(block) if not text.isascii()]
        assert len(accented) > 40
        for text in accented:
            bare = normalize("NFD", text).encode("ascii", "ignore").decode()
            assert heard(spoken.language, bare, "thoughts") == heard(spoken.language, text, "thoughts")

    @pytest.mark.parametrize(
        ("language", "text"), [(spoken.language, text) for spoken in LANGUAGES for text in texts_of(spoken.never_no)]
    )
    def test_despair_that_begins_with_a_no_is_no_denial(self, language: str, text: str) -> None:
        assert heard(language, text, "thoughts").answer is not NO

    @pytest.mark.parametrize(("language", "text", "act"), cases("acts"))
    def test_what_a_message_does_is_understood(self, language: str, text: str, act: str) -> None:
        assert act in heard(language, text).acts

    @pytest.mark.parametrize(("language", "text", "act"), cases("no_acts"))
    def test_what_only_sounds_like_it_is_left_alone(self, language: str, text: str, act: str) -> None:
        assert act not in heard(language, text).acts

    @pytest.mark.parametrize(("language", "text", "kind"), cases("barriers"))
    def test_what_stands_in_the_way_is_understood(self, language: str, text: str, kind: str) -> None:
        assert kind in heard(language, text, "line_use").barriers

    @pytest.mark.parametrize(("language", "text", "flag"), cases("flags"))
    def test_who_somebody_is_and_how_they_can_be_reached(self, language: str, text: str, flag: str) -> None:
        assert flag in heard(language, text).flags

    @pytest.mark.parametrize(("language", "text", "flag"), cases("no_flags"))
    def test_not_everyone_who_writes_a_number_is_a_child(self, language: str, text: str, flag: str) -> None:
        assert flag not in heard(language, text).flags

    @pytest.mark.parametrize(("language", "text", "state"), cases("states"))
    def test_what_is_told_without_being_asked_is_understood(self, language: str, text: str, state: str) -> None:
        assert state in heard(language, text).states

    @pytest.mark.parametrize(("language", "text", "state"), cases("no_states"))
    def test_a_negated_word_tells_nothing(self, language: str, text: str, state: str) -> None:
        assert state not in heard(language, text).states

    @pytest.mark.parametrize(("language", "text", "phrase"), cases("reflect"))
    def test_what_is_said_back_comes_from_a_fixed_list(self, language: str, text: str, phrase: str) -> None:
        assert heard(language, text).reflect == phrase
        assert heard(language, "xyzzy plof").reflect is None

    @pytest.mark.parametrize(("language", "text", "phrase"), cases("who"))
    def test_the_person_written_about_is_named_from_a_fixed_list(self, language: str, text: str, phrase: str) -> None:
        assert heard(language, text).who == phrase

    @pytest.mark.parametrize(
        "text", ["", "   ", "🙂", "???", "x" * 100_000, "no " * 50_000, "não " * 20_000, "(" * 5_000]
    )
    @pytest.mark.parametrize("spoken", LANGUAGES, ids=lambda spoken: spoken.language)
    def test_odd_texts_are_read_without_trouble(self, spoken: Spoken, text: str) -> None:
        assert isinstance(heard(spoken.language, text, "thoughts"), Heard)

    def test_english_slang_is_not_read_into_other_words(self) -> None:
        assert plain("Ya no puedo, mamá", "es") == "ya no puedo , mama"
        assert plain("n sei", "pt") == "n sei"

    @pytest.mark.parametrize("spoken", LANGUAGES, ids=lambda spoken: spoken.language)
    def test_the_rules_make_every_fact_that_the_english_ones_make(self, spoken: Spoken) -> None:
        assert playbooks(spoken.language).answers.facts() == load_playbooks().answers.facts()


MOVES = [
    (spoken.language, f"{move.id}.{number}", text)
    for spoken in LANGUAGES
    for move in playbooks(spoken.language).by_id.values()
    for number, text in enumerate(move.texts, start=1)
]
ENGLISH = r"\b(?:the|you|your|and|with|are|this|that|what|have|is|of|please|call|for)\b"
NEVER = {
    "es": {
        "shouting": r"[!¡]|\b[A-ZÁÉÍÓÚ]{5,}\b",
        "a word that needs the person's gender": r"\b(?:estás|te sientes|estar|quedes|quedarte|eres|sentirte)"
        r" (?:tan |muy )?(?:sol|segur|cansad|tranquil|preparad|list|asustad|mal[oa]|querid|content|just|valios)[oa]?\b"
        r"|\bbienvenid|\bti mism[oa]|\btú sol[oa]\b|\bvaliente (?:de|por) tu",
        "vos": r"\b(?:vos|tenés|querés|podés|sos|contame|decime|llamá|andá)\b",
        "a word that not every country uses": r"\b(?:coger|coge|coges|vosotros|ahorita|chévere|tío|guay|órale|vale,)\b",
        "a promise of secrecy": r"\b(?:entre nosotros|no se lo (?:diré|voy a decir)|confidencial|nadie lo sabrá)\b",
        "a claim to have called someone": r"\b(?:he llamado|ya llamé|he avisado|la ayuda (?:está|va) en camino)\b",
        "a diagnosis": r"\b(?:tienes|sufres) (?:una? )?(?:depresi|anorexi|bulimi|psicosis|trastorn|bipolar|adicc)",
        "a word about methods": r"\b(?:pastilla|cuerda|soga|cuchill|pistola|puente|ahorc|saltar|cortarte|sobredosis)",
        "shame": r"\b(?:egoísta|cobarde|deberías haber|llamar la atención|exageras)\b",
        "force": r"\b(?:tienes que (?:llamar|decirme|contarme)|estás en la obligación|si no llamas)\b",
        "a promise that it ends well": r"\b(?:todo (?:va a salir|estará|saldrá) bien|vas a estar bien|mejorará)\b",
        "jargon": r"\b(?:ideación|afrontamiento|derivación|autocuidado|desencaden|profesional de la salud)\b",
    },
}
ALL_NEVER = [(language, rule) for language, rules in NEVER.items() for rule in rules]
WRONG = {
    ("es", "a word that needs the person's gender"): "Ahora no deberías sentirte sola.",
    ("es", "vos"): "Contame qué pasa.",
    ("es", "a promise of secrecy"): "Esto queda entre nosotros.",
    ("es", "a word about methods"): "Guarda las pastillas.",
    ("es", "force"): "Tienes que llamar ahora.",
}


class TestTheCopy:
    @pytest.mark.parametrize("spoken", LANGUAGES, ids=lambda spoken: spoken.language)
    def test_every_move_has_its_own_words(self, spoken: Spoken) -> None:
        own, english = playbooks(spoken.language), load_playbooks()
        assert own.language == spoken.language
        assert own.by_id.keys() == english.by_id.keys()
        assert all(len(move.texts) >= max(VARIANTS, len(english.by_id[id].texts)) for id, move in own.by_id.items())
        said = {text for move in english.by_id.values() for text in move.texts}
        assert not said & {text for move in own.by_id.values() for text in move.texts}

    @pytest.mark.parametrize("spoken", LANGUAGES, ids=lambda spoken: spoken.language)
    def test_no_english_is_left(self, spoken: Spoken) -> None:
        assert [id for language, id, text in MOVES if language == spoken.language and re.search(ENGLISH, text)] == []

    @pytest.mark.parametrize("spoken", LANGUAGES, ids=lambda spoken: spoken.language)
    def test_every_wording_has_the_placeholders_of_the_english_ones(self, spoken: Spoken) -> None:
        english = load_playbooks().by_id
        assert {i: m.holes for i, m in playbooks(spoken.language).by_id.items()} == {
            i: m.holes for i, m in english.items()
        }

    @pytest.mark.parametrize("spoken", LANGUAGES, ids=lambda spoken: spoken.language)
    def test_every_way_out_of_danger_names_a_line_and_the_emergency_number(self, spoken: Spoken) -> None:
        acts = [move for move in playbooks(spoken.language).by_id.values() if move.kind is Kind.ACT]
        assert len(acts) > 20
        assert all("{reach}" in text and "{emergency}" in text for move in acts for text in move.texts)

    @pytest.mark.parametrize("spoken", LANGUAGES, ids=lambda spoken: spoken.language)
    def test_danger_right_now_comes_in_three_steps(self, spoken: Spoken) -> None:
        acts = [
            m for m in playbooks(spoken.language).by_id.values() if m.kind is Kind.ACT and "level:imminent" in m.written
        ]
        assert all(re.findall(r"^(\d)\.", text, re.MULTILINE) == ["1", "2", "3"] for m in acts for text in m.texts)

    @pytest.mark.parametrize(("language", "rule"), ALL_NEVER)
    def test_no_text_holds(self, language: str, rule: str) -> None:
        copy = [text for _, text in strings(Copy.load(language).texts.model_dump())]
        texts = [text for own, _, text in MOVES if own == language] + copy
        assert [text for text in texts if broken(language, rule, text)] == []

    @pytest.mark.parametrize(("place", "text"), WRONG.items())
    def test_the_rule_catches(self, place: tuple[str, str], text: str) -> None:
        assert broken(*place, text)

    @pytest.mark.parametrize("spoken", LANGUAGES, ids=lambda spoken: spoken.language)
    def test_the_question_about_suicide_names_it(self, spoken: Spoken) -> None:
        named = r"suicid|[Qq]uitar[ts]e la vida|mor+[ei]r|n(?:o|ão) querer viver|no querer vivir|tirar (?:a|sua) (?:própria )?vida"
        moves = playbooks(spoken.language).by_id.values()
        asked = [text for move in moves if move.asks == "thoughts" for text in move.texts]
        asked += Copy.load(spoken.language).texts.safety_question["suicide"]
        assert len(asked) >= 36
        assert [text for text in asked if not re.search(named, text)] == []

    @pytest.mark.parametrize("spoken", LANGUAGES, ids=lambda spoken: spoken.language)
    def test_no_question_about_danger_leads(self, spoken: Spoken) -> None:
        leads = r"¿(?:no|verdad)\b|, (?:no|verdad|né|certo)\?|\bno (?:vas|estarás|piensas)\b|\bnão (?:vai|está|é)\b"
        asked = [text for m in playbooks(spoken.language).by_id.values() if m.kind is Kind.ASK for text in m.texts]
        assert len(asked) > 150
        assert [text for text in asked if re.search(leads, text, re.IGNORECASE)] == []

    @pytest.mark.parametrize("spoken", LANGUAGES, ids=lambda spoken: spoken.language)
    def test_eating_disorder_copy_talks_neither_of_numbers_nor_of_weight(self, spoken: Spoken) -> None:
        texts = " ".join(
            text for own, id, text in MOVES if own == spoken.language and id.startswith("eating_disorder/")
        )
        assert not re.search(
            r"\b(?:peso|pesas|pesa|calor[ií]as|kilos?|kg|imc|delgad|flac|gord|magr|dieta|talla)\w*", texts, re.I
        )
        assert not re.search(
            r"\d",
            re.sub(r"^\d\.", "", texts, flags=re.MULTILINE).replace(" 1.", "").replace(" 2.", "").replace(" 3.", ""),
        )

    @pytest.mark.parametrize("spoken", LANGUAGES, ids=lambda spoken: spoken.language)
    def test_psychosis_copy_neither_argues_nor_agrees(self, spoken: Spoken) -> None:
        texts = " ".join(text for own, id, text in MOVES if own == spoken.language and id.startswith("psychosis/"))
        assert not re.search(
            r"\breal(?:es)?\b|imagin|delirio|alucin|no es verdad|não é verdade|te creo|acredito|paranoi", texts, re.I
        )

    @pytest.mark.parametrize("spoken", LANGUAGES, ids=lambda spoken: spoken.language)
    def test_the_emergency_numbers_in_the_copy_are_those_of_the_directory(self, spoken: Spoken) -> None:
        said = set(re.findall(r"\d{3}", Copy.load(spoken.language).texts.ask_country))
        countries = ("ES", "MX", "EC", "UY", "US", "CO", "AR", "CL", "PE", "PT", "BR", "AO", "MZ", "CV")
        assert said
        assert said <= {number for country in countries if (number := DIRECTORY.emergency(country))}


def strings(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from strings(inner, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value, start=1):
            yield from strings(inner, f"{path}.{number}")


def broken(language: str, rule: str, text: str) -> bool:
    return re.search(NEVER[language][rule], text, 0 if rule == "shouting" else re.IGNORECASE) is not None


def begin(
    language: str,
    category: Category,
    level: RiskLevel,
    text: str,
    *,
    subject: Subject = Subject.SELF,
    country: str | None = None,
    seed: int = 1,
) -> tuple[Walk, Step]:
    talk = Walk(FILTER, playbooks(language), DIRECTORY, Copy.load(language), country=country, seed=seed)
    return talk, talk.hear(text, Verdict(level=level, categories=(category,), subject=subject))


def said(step: Step) -> str:
    assert step.reply is not None
    return step.reply.text


def chosen(step: Step) -> Chosen:
    assert step.chosen is not None
    return step.chosen


ELEVATED, IMMINENT = RiskLevel.ELEVATED, RiskLevel.IMMINENT


class TestSpanishTalks:
    def test_thoughts_without_a_plan_lead_to_people(self) -> None:
        talk, first = begin("es", Category.SUICIDE, ELEVATED, "ya no quiero vivir", country="ES")
        assert "Puedes llamar al 024" in said(first)
        assert "oy una IA, no una persona. No puedo verte ni llamar a nadie por ti." in said(first)
        assert "suicide/ask_plan" in talk.hear("sí, a veces", CALM).moves
        assert "suicide/heard_no_plan" in talk.hear("no tengo plan", CALM).moves
        assert "suicide/heard_no_intent" in talk.hear("no, nunca lo haría", CALM).moves
        assert "own/barrier_shame" in talk.hear("no, qué van a pensar de mí", CALM).moves

    def test_danger_now_stays_with_the_next_minutes(self) -> None:
        talk, first = begin("es", Category.SUICIDE, IMMINENT, "lo voy a hacer esta noche", country="MX")
        assert "Llama" in said(first) and "911" in said(first)
        assert "imminent/heard_alone" in talk.hear("estoy sola", CALM).moves
        assert "imminent/heard_go" in talk.hear("sí, mi vecina", CALM).moves
        assert "imminent/farewell" in talk.hear("me voy a dormir", CALM).moves

    def test_who_refuses_and_gets_angry_is_met(self) -> None:
        talk, _ = begin("es", Category.SUICIDE, ELEVATED, "no puedo más", country="CO")
        assert "common/met_refusal" in talk.hear("no quiero hablar de eso", CALM).moves
        assert "common/met_anger" in talk.hear("no sirves para nada", CALM).moves
        assert "common/what_i_am" in talk.hear("¿eres un robot?", CALM).moves

    def test_a_worried_mother_learns_how_to_ask(self) -> None:
        talk, _ = begin("es", Category.SUICIDE, ELEVATED, "mi hija dice que quiere morirse", subject=Subject.OTHER)
        step = talk.hear("no, ahora está en su cuarto", CALM)
        assert "third_party/how_suicide" in step.moves
        assert "tu hija" in said(step)

    def test_the_country_is_understood_in_spanish(self) -> None:
        talk, first = begin("es", Category.SUICIDE, ELEVATED, "ya no quiero vivir")
        assert "en qué país estás" in said(first)
        assert "España" in said(talk.hear("estoy en España", CALM))

    def test_a_safety_plan_is_made_step_by_step(self) -> None:
        talk, _ = begin("es", Category.SUICIDE, ELEVATED, "ya no quiero vivir", country="ES")
        talk.hear("sí", CALM)
        talk.hear("hagamos un plan de seguridad", CALM)
        talk.hear("dejo de contestar los mensajes", CALM)
        assert talk.progress.plan["signs"] == "dejo de contestar los mensajes"


@pytest.mark.parametrize("spoken", LANGUAGES, ids=lambda spoken: spoken.language)
class TestRandomTalks:
    """300 talks of up to eight answers each, drawn from everything above."""

    def steps(self, spoken: Spoken) -> Iterator[list[Step]]:
        luck = random.Random(7)
        blocks = [block for by in spoken.answers.values() for block in by.values()]
        blocks += [*spoken.acts.values(), *spoken.barriers.values(), *spoken.flags.values(), *spoken.states.values()]
        answers = [text for block in blocks for text in texts_of(block)]
        for number in range(300):
            category, level = luck.choice(list(Category)), luck.choice((ELEVATED, IMMINENT))
            subject, country = luck.choice(list(Subject)), luck.choice(("ES", "MX", "AR", "BR", "PT", "US", "TV", None))
            talk, first = begin(spoken.language, category, level, "...", subject=subject, country=country, seed=number)
            yield [first, *(talk.hear(luck.choice(answers), CALM) for _ in range(luck.randint(1, 8)))]

    def test_every_reply_is_whole_asks_once_and_is_not_the_last_one(self, spoken: Spoken) -> None:
        names = re.compile("|".join(re.escape(line.name) for line in DIRECTORY))
        for steps in self.steps(spoken):
            texts = [step.reply.text for step in steps if step.reply]
            for text in texts:
                assert text.strip()
                assert not re.search(r"[{}!¡]|\bNone\b", text)
                assert re.sub(r'"[^"]*"', "", text).count("?") <= 1
                assert not re.search(ENGLISH, names.sub("", text))
            assert all(before != after for before, after in pairwise(texts))

    def test_the_ai_is_named_by_itself_once_in_a_crisis(self, spoken: Spoken) -> None:
        for steps in self.steps(spoken):
            disclosed = [m for s in steps if s.chosen for m in s.chosen.moves if m.kind is Kind.DISCLOSE]
            opened = [s for s in steps if s.chosen and "turn:open" in s.chosen.facts]
            assert len(disclosed) == len(opened)
