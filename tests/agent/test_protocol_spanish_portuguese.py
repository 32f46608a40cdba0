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
FILTER, DIRECTORY = CrisisFilter(encoder=None), Directory.load()


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
            no es para tanto | nunca he pensado en eso | no he pensado en eso
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
    nada tiene sentido | nada me importa ya | nada más me importa | no sirvo para nada | no quiero nada ya
    nunca voy a ser feliz | ya no quiero | no me importaría morirme | no me importa nada | no doy para más
    nadie me va a extrañar | no veo salida | no tengo ganas de vivir | no sé, quiero morirme | no hay salida
    no y sí | no puedo con esto, quiero irme | si no fuera por mi hijo ya lo habría hecho | jamás estaré bien
    no, solo quiero dejar de existir | no valgo nada
    """,
    acts={
        "minimises": """
        no es para tanto | todas mis amigas lo hacen
        """,
        "asks_belief": """
        nadie me cree | crees que estoy loca
        """,
        "asks_advice": """
        ¿debo llevarla al hospital?
        """,
        "asks_how": """
        ¿y cómo se lo pregunto?
        """,
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
        "wants_method": """
        siento que me quiero morir | mi hija dice que quiere morir | no pienso en cómo morir
        """,
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
        "doctor:no": """
        no quiero ir al médico
        """,
        "they_asked:yes": """
        le pregunté y lloró
        """,
        "reasons:yes": """
        mi perro me necesita
        """,
        "with_someone:yes": """
        desperté a mi mamá | mi hermana está aquí
        """,
        "away:yes": """
        las puse en el coche | le di las pastillas a mi hermana
        """,
        "line_use:yes": """
        quizás les escriba
        """,
        "people:yes": """
        mi hermana quizás
        """,
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
        "means:no": """
        tiré las pastillas
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

PORTUGUESE = Spoken(
    language="pt",
    answers={
        "thoughts": {
            YES: """
            sim | s | Sim. | siim | aham | uhum | infelizmente sim | às vezes | as vezes sim | de vez em quando
            mais ou menos | um pouco | ultimamente sim | todo dia | todas as noites | passa pela minha cabeça
            claro | com certeza | talvez | não quero mais viver | não, só quero dormir e não acordar
            só quero que pare | quero que tudo isso acabe | queria estar morto | queria nunca ter nascido
            quero morrer | tenho vontade de sumir | estariam melhor sem mim | pensei em me matar | tenho | penso sim
            penso em tirar a minha vida | como você sabe | não quero continuar vivendo | penso muito em morrer
            se calhar | por vezes | tou a pensar nisso | acho que sim | vontade de morrer
            não consigo parar de pensar em me matar
            """,
            NO: """
            não | nao | n | Não. | naum | nunca | jamais | claro que não | de jeito nenhum | nem pensar
            não, nunca faria | não quero morrer | não penso nisso | não vou me matar | não tô pensando em suicídio
            deus me livre | deus me livre, não | nunca pensei nisso | kkk não | acho que não | não sou suicida
            não é pra tanto | não, nada disso
            """,
            UNCLEAR: """
            não sei | n sei | nsei | sei lá | sla | não faço ideia | não tenho certeza | depende | o que você acha?
            nem eu sei | não sei dizer | não sei bem
            """,
            REFUSED: """
            não quero falar disso | prefiro não dizer | prefiro não responder | o que te importa
            não é da sua conta | me deixa em paz | deixa-me em paz | para de perguntar | não te interessa | passo
            que diferença faz | não vou te contar | não me pergunta isso | não vou responder | não tô a fim de falar
            """,
        },
        "plan": {
            YES: """
            sim | tenho sim | tenho um plano | já sei como | com remédios | escrevi uma carta | tenho tudo pensado
            pesquisei na internet | mais ou menos | tá tudo decidido, já decidi como
            """,
            NO: """
            não | não tenho plano | nenhum plano | nada concreto | são só pensamentos | não pensei nisso
            sem plano nenhum | só pensamentos | não cheguei a tanto | ainda não
            """,
            UNCLEAR: """
            não sei | sei lá
            """,
            REFUSED: """
            não te digo | não quero entrar nisso | prefiro não dizer
            """,
        },
        "intent": {
            YES: """
            sim | vou fazer isso | acho que vou | tenho medo de fazer | provavelmente | talvez eu faça | faria | 10
            às vezes | talvez | a qualquer momento
            """,
            NO: """
            não | não faria | nunca faria | pelos meus filhos não | não tenho coragem | não quero morrer
            não, por causa da minha mãe | provavelmente não | acho que não faria | 0 | não seria capaz
            """,
            UNCLEAR: """
            não sei | n sei
            """,
        },
        "means": {
            YES: """
            sim | na minha gaveta | tenho aqui | estão no meu quarto | tenho tudo que preciso
            tenho comprimidos comigo | tem sim
            """,
            NO: """
            não | joguei fora | não tenho nada | dei pra minha mãe | não aqui | não tenho mais | teria que comprar
            deitei fora
            """,
        },
        "time": {
            YES: """
            hoje à noite | hoje | amanhã | logo | quando todo mundo dormir | na sexta | de madrugada
            """,
            NO: """
            não | ainda não | um dia | não tenho data | não pensei quando
            """,
        },
        "safe": {
            YES: """
            sim | tô em segurança | estou bem | por enquanto sim | acho que sim | tô segura
            """,
            NO: """
            não | não muito | não tô em segurança | não sei | não me sinto seguro | ele tá em casa
            meu padrasto tá na sala
            """,
        },
        "with_someone": {
            YES: """
            minha irmã tá aqui | sim, minha mãe | meus pais estão lá embaixo | tô com um amigo
            """,
            NO: """
            não | tô sozinha | estou sozinho | só eu | ninguém | sozinha | não tem ninguém | todo mundo tá dormindo
            moro sozinha
            """,
        },
        "away": {
            YES: """
            já fiz | joguei fora | dei pro meu irmão | ok vou | pronto | saí do quarto
            """,
            NO: """
            não consigo | não quero | pra quê | preciso deles
            """,
        },
        "reached": {
            YES: """
            tô ligando | já liguei | mandei mensagem | vou ligar
            """,
            NO: """
            não consigo | não | não tenho crédito | ainda não | tenho medo | não atendem
            """,
        },
        "line_use": {
            YES: """
            tá bom | ok | pode ser | beleza | sim | blz | poderia escrever | vou tentar | talvez eu ligue
            se piorar eu ligo | claro | tá | está bem
            """,
            NO: """
            não | não consigo | nunca | odeio ligar | pra quê | acho que não | tenho vergonha | não gosto
            não quero ligar
            """,
            UNCLEAR: """
            não sei | talvez | sei lá
            """,
        },
        "people": {
            YES: """
            minha irmã | meu melhor amigo | uma professora | sim | talvez a minha tia | a minha mãe
            """,
            NO: """
            não | ninguém | não tenho ninguém | não tenho amigos | não quero que minha mãe saiba | não iam entender
            """,
        },
        "care": {
            YES: """
            tenho psicóloga | sim | vou ao psiquiatra | minha terapeuta | faço terapia
            """,
            NO: """
            não | nunca | não posso pagar | parei | já fui mas larguei
            """,
        },
        "breathing": {
            NO: """
            não consigo respirar direito | não | tá difícil | tô apagando | com muito sono
            """,
            YES: """
            sim | respiro bem | tô acordado | normal
            """,
        },
        "body": {
            YES: """
            desmaiei | tontura | dor no peito | sim | um pouco tonta | o coração dispara
            """,
            NO: """
            não | me sinto bem | tudo bem
            """,
        },
        "commands": {
            YES: """
            mandam eu me matar | sim | elas me dão ordens | às vezes | querem que eu morra
            """,
            NO: """
            não | só falam | não mandam nada | são só barulhos | só sussurram
            """,
        },
        "urge": {
            YES: """
            sim | um pouco | às vezes | muita | tô com muita vontade, sim
            """,
            NO: """
            não | agora não | já não
            """,
        },
        "reach_out": {
            YES: """
            tá bom | ok | beleza | posso tentar | vou mandar | blz | pode ser
            """,
            NO: """
            não consigo | não tenho coragem | não | tenho medo | agora não
            """,
        },
        "skill_felt": {
            YES: """
            um pouco melhor | sim | ajudou | mais calma
            """,
            NO: """
            não | nada | na mesma | pior
            """,
        },
        "they_danger": {
            YES: """
            ele tem remédios | não atende o telefone | deixou uma carta
            """,
            UNCLEAR: """
            não sei | acho | espero que não
            """,
        },
        "took": {
            YES: """
            tomei muitos comprimidos | bebi muito | sim | tomei demais
            """,
            NO: """
            não | nada
            """,
        },
        "near": {
            YES: """
            tá lá embaixo | sim | tá em casa | no quarto
            """,
            NO: """
            não | saiu | tá no trabalho | foi embora
            """,
        },
    },
    never_no="""
    não aguento mais | não consigo mais | n aguento | não quero continuar | não quero estar aqui
    ninguém gosta de mim | nada faz sentido | nada mais importa | não presto pra nada | não quero mais nada
    nunca vou ser feliz | já não aguento | não me importaria de morrer | não me importo com nada | não dá mais
    ninguém vai sentir minha falta | não vejo saída | não tenho vontade de viver | não sei, quero morrer
    não tem saída | não e sim | não dou conta disso, quero ir embora | não, só quero deixar de existir
    não valho nada
    """,
    acts={
        "minimises": """
        não é tão grave | todas as minhas amigas fazem isso
        """,
        "asks_belief": """
        ninguém acredita em mim | você acha que eu tô louca
        """,
        "asks_advice": """
        devo levar ela ao hospital?
        """,
        "asks_how": """
        e como eu pergunto isso?
        """,
        "stop_asking": """
        para de fazer perguntas | deixa-me em paz
        """,
        "refusal": """
        me deixa em paz | não quero falar disso
        """,
        "joke": """
        kkkkk
        """,
        "retraction": """
        rsrs era brincadeira | esquece, tava brincando | não falei sério
        """,
        "angry": """
        vai se foder | você não serve pra nada | você é um inútil | robô burro | és um inútil
        """,
        "asks_human": """
        você é um robô? | vc é uma pessoa real | és uma pessoa? | tô falando com uma pessoa de verdade?
        quero falar com uma pessoa | quem é você
        """,
        "asks_who_sees": """
        você vai chamar a polícia? | não conta pros meus pais | isso é confidencial? | quem lê isso
        """,
        "asks_line_works": """
        o que acontece se eu ligar | é de graça?
        """,
        "asks_number": """
        qual era o número | me passa o número de novo | pra quem eu posso ligar
        """,
        "worse": """
        tá piorando | não aguento mais | n aguento mais | não dá mais | eu desisto | tô me sentindo pior
        """,
        "better": """
        me sinto um pouco melhor | tô mais calma | isso me ajudou | melhor, obrigada | já tô bem
        """,
        "thanks": """
        obrigada | vlw | obg por me ouvir
        """,
        "goodbye": """
        tchau | boa noite | vou dormir | adeus | tenho que ir
        """,
        "final_goodbye": """
        adeus para sempre | até aqui cheguei | essa noite tudo acaba
        """,
        "thinks_stuck": """
        nada vai mudar | não vejo sentido em nada | pra que continuar
        """,
        "off_topic": """
        qual é o seu filme favorito | vamos falar de outra coisa | você gosta de futebol?
        """,
        "wants_plan": """
        vamos fazer um plano de segurança
        """,
        "wants_skill": """
        como posso me acalmar | tô tendo uma crise de pânico
        """,
        "wants_therapist": """
        como encontro um psicólogo | preciso de um psicólogo
        """,
        "wants_method": """
        quantos comprimidos precisa pra morrer | qual é o jeito menos doloroso de morrer
        """,
        "asks_why": """
        por que você pergunta | pq vc quer saber
        """,
        "hurt_by_somebody": """
        meu marido me bateu ontem | o meu pai bate-me
        """,
    },
    no_acts={
        "wants_method": """
        sinto que quero morrer | minha filha diz que quer morrer | não penso em como morrer
        """,
        "angry": """
        sou um inútil | me sinto burra | meu namorado diz que é uma merda
        """,
        "thanks": """
        obrigado por nada | fui obrigada a isso
        """,
        "better": """
        não tô melhor | estariam melhor sem mim | nada me ajuda
        """,
        "goodbye": """
        quero dormir para sempre | fui demitido ontem
        """,
        "worse": """
        não aguento mais de rir
        """,
        "off_topic": """
        qual o sentido de viver | meu chefe me demitiu
        """,
    },
    barriers={
        "cost": """
        não posso pagar | é muito caro | não tenho dinheiro | tô sem grana
        """,
        "shame": """
        tenho muita vergonha | o que vão pensar
        """,
        "burden": """
        não quero ser um peso | não quero incomodar ninguém | tem gente pior
        """,
        "police": """
        vão chamar a polícia
        """,
        "hospital": """
        vão me internar | iam me trancar num hospício | vão tirar meus filhos
        """,
        "hopeless": """
        nada adianta | não adianta | já tentei e desligaram
        """,
        "waiting": """
        tem fila de espera de seis meses | não tem vaga até janeiro
        """,
        "language": """
        não falo bem português
        """,
        "immigration": """
        não tenho documentos | podem me deportar
        """,
        "minor": """
        meus pais iam saber | sou menor de idade
        """,
        "therapist_already": """
        já tenho psicóloga
        """,
        "calling": """
        odeio falar ao telefone | não saberia o que dizer | tenho ansiedade de ligar | não tenho crédito
        """,
        "others_listening": """
        vão me ouvir | minha mãe ia ouvir
        """,
        "trust": """
        não confio em ninguém | não acreditaram em mim | são desconhecidos
        """,
    },
    flags={
        "minor": """
        tenho 14 | tenho 15 anos | tô no nono ano | sou menor de idade
        """,
        "deaf": """
        sou surda
        """,
        "cannot_speak": """
        não posso falar agora | ele tá no quarto ao lado
        """,
        "alone": """
        moro sozinha | estou sozinho
        """,
        "watched": """
        ele mexe no meu celular | vê as minhas mensagens
        """,
    },
    no_flags={
        "minor": """
        meu filho tem 14 anos | quando eu tinha 14 anos | tenho 34 anos | tenho 15 anos sem beber
        tenho 16 semanas de gravidez
        """,
    },
    states={
        "doctor:no": """
        não quero ir ao médico
        """,
        "they_asked:yes": """
        perguntei pra ela e ela chorou
        """,
        "reasons:yes": """
        meu cachorro precisa de mim
        """,
        "with_someone:yes": """
        acordei minha mãe | minha irmã tá aqui
        """,
        "away:yes": """
        coloquei tudo no carro | dei os remédios pra minha irmã
        """,
        "line_use:yes": """
        talvez escreva pra eles
        """,
        "people:yes": """
        minha irmã talvez
        """,
        "thoughts:yes": """
        quero me matar | eu quero morrer
        """,
        "thoughts:no": """
        não quero morrer | não penso em me matar
        """,
        "plan:no": """
        não tenho nenhum plano
        """,
        "time:yes": """
        vou fazer isso hoje
        """,
        "means:yes": """
        tenho os comprimidos aqui
        """,
        "means:no": """
        joguei os remédios fora
        """,
        "with_someone:no": """
        tô sozinha em casa
        """,
        "reached:yes": """
        acabei de ligar
        """,
        "body:yes": """
        tô com tontura
        """,
        "safe:yes": """
        tô em segurança
        """,
        "commands:yes": """
        as vozes mandam eu me matar
        """,
        "took:yes": """
        tomei uma cartela de remédio
        """,
        "hurt:yes": """
        acabei de me cortar
        """,
        "intent:no": """
        nunca faria
        """,
        "intent:yes": """
        vou fazer isso
        """,
    },
    no_states={
        "thoughts:yes": """
        não quero me matar | nunca pensei em suicídio
        """,
        "thoughts:no": """
        não quero morrer mas às vezes quero | tenho medo de querer morrer
        """,
        "means:yes": """
        não tenho comprimidos
        """,
        "away:yes": """
        não dei os remédios pra ninguém
        """,
        "safe:yes": """
        não tô em segurança | tô segura de que ele me odeia
        """,
        "with_someone:yes": """
        tô com medo
        """,
    },
    reflect={
        "a perda de alguém que você ama": """
        desde o funeral nada faz sentido
        """,
        "a perda do trabalho": """
        perdi meu emprego
        """,
        "o fim do relacionamento": """
        minha namorada terminou comigo
        """,
        "tanta solidão": """
        me sinto muito sozinha
        """,
        "a sensação de ser um peso": """
        sou um peso
        """,
        "a falta de sono": """
        não consigo dormir
        """,
    },
    who={
        "seu irmão": """
        meu irmão mais novo me contou uma coisa
        """,
        "sua mãe": """
        minha mãe
        """,
        "sua filha": """
        tô preocupada com a minha filha
        """,
        "sua amiga": """
        uma amiga me disse que
        """,
    },
)

LANGUAGES = (
    SPANISH,
    PORTUGUESE,
)


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
    def test_the_rules_know_every_kind_of_answer_that_the_english_ones_know(self, spoken: Spoken) -> None:
        own, english = playbooks(spoken.language).answers, load_playbooks().answers
        for kind in ("answers", "after", "acts", "barriers", "flags", "states"):
            assert getattr(own, kind).keys() >= getattr(english, kind).keys()


MOVES = [
    (spoken.language, f"{move.id}.{number}", text)
    for spoken in LANGUAGES
    for move in playbooks(spoken.language).by_id.values()
    for number, text in enumerate(move.texts, start=1)
]
ENGLISH = r"\b(?:the|you|your|and|with|are|this|that|what|have|is|of|please|call|from)\b"
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
    "pt": {
        "shouting": r"[!¡]|\b[A-ZÁÉÍÓÚÃÕÇ]{5,}\b",
        "a word that needs the person's gender": r"\bvocê (?:está|se sente|fica|ficou|ficar|não deveria ficar)"
        r" (?:tão |muito |mais )?(?:sozinh|segur|cansad|preparad|pront|assustad|querid)[oa]\b"
        r"|\b(?:ficar|fique|se sentir) sozinh|\bbem-vind|\bobrigad[oa]\b|\b(?:si|você) mesm[oa]|\bjuntos\b",
        "European forms": r"\b(?:tu|contigo|teu|tua|podes|queres|estás|tens|telemóvel|ecrã|equipa|encaminhar-te)\b",
        "a promise of secrecy": r"\b(?:entre nós|entre a gente|não vou contar|confidencial|sigilo|ninguém vai saber)\b",
        "a claim to have called someone": r"\b(?:já liguei|eu liguei|avisei|a ajuda está a caminho)\b",
        "a diagnosis": r"\bvocê (?:tem|sofre de) (?:uma? )?(?:depress|anorexi|bulimi|psicose|transtorn|bipolar|vício)",
        "a word about methods": r"\b(?:comprimid|corda\b|faca\b|lâmina|arma\b|ponte|enforc|pular|cortar|overdose)",
        "shame": r"\b(?:egoísta|covarde|você deveria ter|chamar atenção|frescura)\b",
        "force": r"\b(?:você tem que|você é obrigad|senão eu|se não ligar)\b",
        "a promise that it ends well": r"\b(?:vai (?:dar tudo certo|ficar (?:tudo )?bem|melhorar|passar))\b",
        "jargon": r"\b(?:ideação|enfrentamento|encaminhamento|autocuidado|gatilho|profissional de saúde)\b",
    },
}
ALL_NEVER = [(language, rule) for language, rules in NEVER.items() for rule in rules]
WRONG = {
    ("es", "a word that needs the person's gender"): "Ahora no deberías sentirte sola.",
    ("es", "vos"): "Contame qué pasa.",
    ("es", "a promise of secrecy"): "Esto queda entre nosotros.",
    ("es", "a word about methods"): "Guarda las pastillas.",
    ("es", "force"): "Tienes que llamar ahora.",
    ("pt", "a word that needs the person's gender"): "Agora você não deveria ficar sozinha.",
    ("pt", "European forms"): "Podes ligar agora.",
    ("pt", "a promise of secrecy"): "Isso fica entre nós.",
    ("pt", "a word about methods"): "Guarde os comprimidos.",
    ("pt", "a promise that it ends well"): "Vai ficar tudo bem.",
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
        named = r"suic[ií]d|uitar[ts]e la vida|mor+[ei]r|n(?:o|ão) querer viv[ei]r|irar a própria vida"
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
            r"\bno es real|não é real|\bte imaginas|delírio|delirio|alucin|te persiguen|perseguindo|paranoi",
            texts,
            re.I,
        )

    @pytest.mark.parametrize("spoken", LANGUAGES, ids=lambda spoken: spoken.language)
    def test_the_emergency_numbers_in_the_copy_are_those_of_the_directory(self, spoken: Spoken) -> None:
        said = set(re.findall(r"\d{3}", Copy.load(spoken.language).texts.ask_country))
        countries = ("ES", "MX", "EC", "UY", "US", "CO", "AR", "CL", "PE", "PT", "BR", "AO", "MZ", "CV")
        assert said
        known = {DIRECTORY.emergency(country, kind) for country in countries for kind in ((), (Category.VIOLENCE,))}
        assert said <= known


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


class TestPortugueseTalks:
    def test_thoughts_without_a_plan_lead_to_people(self) -> None:
        talk, first = begin("pt", Category.SUICIDE, ELEVATED, "não quero mais viver", country="BR")
        assert "Você pode ligar para 188" in said(first)
        assert "uma IA, não uma pessoa. Não consigo ver você nem ligar para ninguém por você." in said(first)
        assert "suicide/ask_plan" in talk.hear("sim, às vezes", CALM).moves
        assert "suicide/heard_no_plan" in talk.hear("não tenho plano", CALM).moves
        assert "suicide/heard_no_intent" in talk.hear("não, nunca faria", CALM).moves
        assert "own/barrier_shame" in talk.hear("não, o que vão pensar de mim", CALM).moves

    def test_danger_now_stays_with_the_next_minutes(self) -> None:
        talk, first = begin("pt", Category.SUICIDE, IMMINENT, "vou fazer isso hoje à noite", country="PT")
        assert "Ligue" in said(first) and "112" in said(first)
        assert "imminent/heard_alone" in talk.hear("tô sozinha", CALM).moves
        assert "imminent/heard_go" in talk.hear("sim, a vizinha", CALM).moves
        assert "imminent/farewell" in talk.hear("vou dormir", CALM).moves

    def test_who_refuses_and_gets_angry_is_met(self) -> None:
        talk, _ = begin("pt", Category.SUICIDE, ELEVATED, "não aguento mais", country="BR")
        assert "common/met_refusal" in talk.hear("não quero falar disso", CALM).moves
        assert "common/met_anger" in talk.hear("você não serve pra nada", CALM).moves
        assert "common/what_i_am" in talk.hear("você é um robô?", CALM).moves

    def test_a_worried_father_learns_how_to_ask(self) -> None:
        talk, _ = begin("pt", Category.SUICIDE, ELEVATED, "minha filha diz que quer morrer", subject=Subject.OTHER)
        step = talk.hear("não, agora ela tá no quarto", CALM)
        assert "third_party/how_suicide" in step.moves
        assert "sua filha" in said(step)

    def test_the_country_is_understood_in_portuguese(self) -> None:
        talk, first = begin("pt", Category.SUICIDE, ELEVATED, "não quero mais viver")
        assert "em que país você está" in said(first)
        assert "Brasil" in said(talk.hear("moro no Brasil", CALM))

    def test_european_portuguese_is_understood_as_well(self) -> None:
        talk, _ = begin("pt", Category.SUICIDE, ELEVATED, "quero matar-me", country="PT")
        assert "suicide/heard_no_plan" in talk.hear("não tenho nenhum plano", CALM).moves
        assert "common/met_refusal" in talk.hear("deixa-me em paz", CALM).moves


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
    """150 talks of up to eight answers each, drawn from everything above."""

    def steps(self, spoken: Spoken) -> Iterator[list[Step]]:
        luck = random.Random(7)
        blocks = [block for by in spoken.answers.values() for block in by.values()]
        blocks += [*spoken.acts.values(), *spoken.barriers.values(), *spoken.flags.values(), *spoken.states.values()]
        answers = [text for block in blocks for text in texts_of(block)]
        for number in range(150):
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
