"""The protocol in German, French and Russian: what people type is understood, what is said keeps the rules of copy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from warmline.agent.copy import Copy
from warmline.agent.protocol.playbook import DATA, VARIANTS, Kind, load_playbooks
from warmline.agent.protocol.state import Answer
from warmline.agent.protocol.understand import Heard, load_answers, understand
from warmline.agent.protocol.walk import Step, Walk
from warmline.guards.filter import CrisisFilter
from warmline.guards.hotlines import Directory
from warmline.guards.types import Category, RiskLevel, Subject, Verdict

YES, NO, UNCLEAR, REFUSED = Answer.YES, Answer.NO, Answer.UNCLEAR, Answer.REFUSED
CALM = Verdict(level=RiskLevel.NONE)
ELEVATED, IMMINENT = RiskLevel.ELEVATED, RiskLevel.IMMINENT


@dataclass(frozen=True)
class Spoken:
    """What people type in one language, and what it means. Texts stand between bars."""

    language: str
    answers: Mapping[str, Mapping[Answer, str]]
    """By open question."""
    never_no: str
    """Said in despair: may begin with a "no", and is no denial."""
    acts: Mapping[str, str]
    barriers: Mapping[str, str]
    flags: Mapping[str, str]
    states: Mapping[str, str]
    reflect: Mapping[str, str]
    who: Mapping[str, str]
    not_a_child: str


GERMAN = Spoken(
    language="de",
    answers={
        "thoughts": {
            YES: (
                "ja|jaa|jo|joa|jep|leider ja|ja schon|manchmal|ab und zu|ein bisschen|schon irgendwie"
                "|naja, manchmal schon|ich denke ständig daran|es geht mir durch den kopf|jeden tag"
                "|ich will nicht mehr leben|i mog nimmer leben|ich will einfach nicht mehr aufwachen"
                "|wäre am liebsten tot|ich hab suizidgedanken|ja, oft|in letzter zeit ja|was denn sonst"
                "|nein ich will nur schlafen und nicht mehr aufwachen|ich möchte nicht mehr leben|ja und nein|vllt"
                "|scho"
            ),
            NO: (
                "nein|ne|nee|nö|nope|na|nei|niemals|auf keinen fall|gar nicht|um gottes willen nein|nicht wirklich"
                "|nein, so nicht|ich bin nicht suizidal|das würde ich nie tun|ich will nicht sterben"
                "|nein ich will ja leben|natürlich nicht|ach quatsch"
            ),
            UNCLEAR: (
                "weiß nicht|weiss nich|keine ahnung|ka|kp|ich weiß es nicht|bin mir nicht sicher|schwer zu sagen"
                "|i woas ned|weiss nöd|kein plan|was glaubst du"
            ),
            REFUSED: (
                "will ich nicht sagen|ich will nicht darüber reden|geht dich nichts an|frag nicht|hör auf zu fragen"
                "|lass mich in ruhe|möchte nicht darüber sprechen|warum willst du das wissen|lieber nicht"
                "|ist doch egal"
            ),
        },
        "plan": {
            YES: (
                "ja|ich weiß wie|ich hab einen abschiedsbrief geschrieben|tabletten|ich habe es mir überlegt"
                "|hab schon alles geplant|ich hab recherchiert"
            ),
            NO: (
                "nein|kein konkreter plan|nur gedanken|nichts konkretes|so weit bin ich nicht, nein|keinen plan"
                "|nein kein plan|noch nicht"
            ),
            UNCLEAR: "keine ahnung|kein plan|weiß nicht",
        },
        "intent": {
            YES: "ja|ich hab angst dass ich es tue|wahrscheinlich|ich werd es tun|vielleicht|ich trau mir selbst nicht",
            NO: (
                "nein|ich würde es nicht tun|wegen meiner kinder nicht|ich trau mich nicht|wahrscheinlich nicht"
                "|eher nicht|glaub nicht"
            ),
        },
        "means": {
            YES: "ja|in meiner schublade|liegt hier|hab alles zuhause",
            NO: "nein|hab sie weggeworfen|nicht hier|hab ich meiner mutter gegeben",
        },
        "time": {
            YES: "heute nacht|morgen|wenn alle schlafen|bald|am freitag",
            NO: "nein|noch nicht|irgendwann|kein datum",
        },
        "safe": {
            YES: "ja|ich bin in sicherheit|glaub schon|für heute ja|ja ich bin sicher",
            NO: "nein|nicht wirklich|ich bin nicht sicher|mein mann ist zuhause|fühl mich nicht sicher",
        },
        "with_someone": {
            YES: "meine schwester ist da|ja mein mitbewohner|meine eltern sind unten",
            NO: "nein|allein|nur ich|niemand|alle schlafen|bin alleine daheim",
        },
        "line_use": {
            YES: (
                "ok|ja|klar|ich könnte schreiben|ich versuchs mal|werde ich probieren|wenn es schlimm wird|na gut|passt"
            ),
            NO: "nein|ich kann nicht|niemals|bringt eh nichts|glaub nicht|eher nicht|ich trau mich nicht",
            UNCLEAR: "vielleicht|keine ahnung",
        },
        "people": {
            YES: "meine schwester|vielleicht meine beste freundin|mein hausarzt|ja|mama",
            NO: "nein|niemand|keiner|ich hab niemanden|ich will meine mutter nicht belasten|ich hab keine freunde",
        },
        "care": {
            YES: "ich habe eine therapeutin|ja|ich bin in therapie|mein hausarzt",
            NO: "nein|nie|noch nie|stehe auf der warteliste|früher mal",
        },
        "reach_out": {
            YES: "ok|ja|mach ich|könnte ich versuchen|passt schon",
            NO: "nein|ich kann nicht|trau mich nicht|später",
        },
        "breathing": {
            NO: "ich krieg kaum luft|nein|bin benommen",
            YES: "ja|mir gehts gut|bin wach",
        },
        "body": {
            YES: "mir ist schwindlig|bin umgekippt|mein herz rast|ja",
            NO: "nein|alles gut|mir gehts gut",
        },
        "urge": {
            YES: "ja|schon ein bisschen|gerade ja",
            NO: "nein|gerade nicht|im moment nicht|grad nicht",
        },
        "commands": {
            YES: "die stimme sagt ich soll es tun|ja|sie befehlen mir",
            NO: "nein|sie reden nur",
        },
        "skill_felt": {
            YES: "etwas besser|ein bisschen ruhiger|ja hat geholfen",
            NO: "nein|bringt nichts|gar nicht",
        },
        "they_danger": {
            NO: "nein glaub nicht",
        },
    },
    never_no=(
        "nein ich kann nicht mehr|ich kann nicht mehr|nie wieder glücklich|niemand braucht mich|nichts hilft"
        "|keine kraft mehr|nein ich will nicht mehr leben|keiner würde mich vermissen|kein ausweg"
        "|ich will einfach nicht mehr|nein, keine hoffnung mehr|mog nimmer"
    ),
    acts={
        "stop_asking": "hör auf mit den fragen|genug gefragt|lass mich endlich in ruhe",
        "refusal": "ich will darüber nicht reden|lass mich in ruhe|geht dich nix an",
        "joke": "lol|haha|war nur spaß",
        "retraction": "war nur spaß vergiss es|war nicht so gemeint",
        "angry": "fick dich|du bist nutzlos|scheiß bot|das ist schwachsinn|du verstehst mich nicht|halt die fresse",
        "asks_human": (
            "bist du ein bot|bist du ein mensch|rede ich mit einem echten menschen"
            "|kann ich mit einem menschen reden|wer bist du"
        ),
        "asks_who_sees": (
            "rufst du die polizei|wer liest das|liest das jemand|sag es bitte nicht meinen eltern"
            "|bleibt das unter uns|ist das anonym"
        ),
        "asks_why": "warum fragst du|wieso willst du das wissen|warum",
        "asks_line_works": "was passiert wenn ich da anrufe|ist das kostenlos|schicken die die polizei",
        "asks_number": "wie war die nummer nochmal|kannst du mir die nummer geben|wen kann ich anrufen",
        "worse": (
            "es wird schlimmer|ich halte das nicht mehr aus|ich kann nicht mehr|ich pack das nicht mehr"
            "|es ist alles zu viel"
        ),
        "better": "mir geht es etwas besser|ein bisschen besser|bin jetzt ruhiger|das hat geholfen|geht schon wieder",
        "thanks": "danke|danke dir|merci",
        "goodbye": "tschüss|gute nacht|ich geh jetzt schlafen|gn|bis morgen|baba|muss los",
        "final_goodbye": "leb wohl|das wars|es ist bald vorbei",
        "off_topic": "was ist dein lieblingsfilm|können wir über was anderes reden|übrigens, magst du pizza",
        "wants_plan": "können wir einen sicherheitsplan machen",
        "wants_skill": "wie kann ich mich beruhigen|hilf mir runterkommen|was kann ich jetzt tun",
        "wants_therapist": "wie finde ich einen therapeuten|ich brauch eine therapie",
        "wants_method": "wie viele tabletten sind tödlich|was ist der schmerzloseste weg zu sterben",
        "hurt_by_somebody": "mein mann hat mich gestern geschlagen|er schlägt mich|mein freund würgt mich",
        "thinks_stuck": "es hat keinen sinn|es wird nie besser|nichts hilft|hoffnungslos",
        "asks_how": "wie soll ich ihn das fragen|was soll ich ihr sagen",
        "asks_advice": "soll ich sie ins krankenhaus bringen|ist das normal",
        "asks_belief": "glaubst du mir|keiner glaubt mir",
        "minimises": "ist nicht so schlimm|machen doch alle",
    },
    barriers={
        "cost": "kann ich mir nicht leisten|ist zu teuer|hab kein geld",
        "shame": "ich schäme mich so|das ist mir peinlich",
        "burden": "ich will niemandem zur last fallen|andere haben es schlimmer|ich will niemanden belasten",
        "police": "die schicken die polizei",
        "hospital": "die stecken mich in die geschlossene|ich will nicht in die psychiatrie",
        "hopeless": "bringt doch eh nichts|mir kann keiner helfen|hab schon alles probiert",
        "waiting": "die warteliste ist sechs monate|kein therapieplatz|monatelang warten",
        "language": "mein deutsch ist nicht gut",
        "immigration": "ich hab keine papiere|ich hab angst vor abschiebung",
        "minor": "meine eltern würden es erfahren|ich bin zu jung",
        "therapist_already": "ich hab schon eine therapeutin|bin schon in therapie",
        "calling": "ich hasse telefonieren|ich weiß nicht was ich sagen soll|telefonangst|anrufen kann ich nicht",
        "others_listening": "meine mutter würde mich hören|das haus ist hellhörig",
        "trust": "ich vertraue niemandem|mit fremden reden",
    },
    flags={
        "minor": "ich bin 14|bin 16 jahre alt|ich geh in die 9. klasse",
        "deaf": "ich bin gehörlos",
        "cannot_speak": "ich kann grad nicht reden|er ist im nebenzimmer",
        "alone": "ich wohne allein|bin alleine zuhause",
        "watched": "er kontrolliert mein handy",
    },
    states={
        "thoughts:yes": "ich will mich umbringen|ich möchte sterben|ich habe suizidgedanken",
        "thoughts:no": "ich bin nicht suizidal|ich will mich nicht umbringen|ich würde mir nie etwas antun",
        "means:yes": "ich hab die tabletten hier neben mir",
        "away:yes": "ich hab sie meiner schwester gegeben|hab die tabletten weggeworfen",
        "with_someone:yes": "meine freundin ist jetzt da|bin bei meiner mutter",
        "with_someone:no": "ich bin ganz allein zuhause",
        "reached:yes": "ich hab dort angerufen|der krankenwagen kommt",
        "took:yes": "ich hab eine ganze packung tabletten genommen",
        "they_asked:yes": "ich hab ihn direkt gefragt",
        "reasons:yes": "mein hund braucht mich",
        "people:yes": "meine schwester vielleicht",
        "doctor:no": "ich geh nicht zum arzt|zum arzt will ich nicht",
        "line_use:yes": "ich könnte ja mal schreiben",
    },
    reflect={
        "die Trennung": "er hat schluss gemacht",
        "diese Erschöpfung": "ich bin so müde von allem",
        "das Alleinsein": "ich fühl mich so allein",
    },
    who={
        "deinem Sohn": "mein sohn schreibt so komisch",
        "deiner Freundin": "meine beste freundin hat gesagt",
    },
    not_a_child="mein sohn ist 14|ich bin 34|als ich 14 war hatte ich einen hund",
)

FRENCH = Spoken(
    language="fr",
    answers={
        "thoughts": {
            YES: (
                "oui|ouais|ui|ouai|ben oui|oui malheureusement|parfois|des fois|de temps en temps|un peu"
                "|j'y pense souvent|ça me traverse l'esprit|tous les jours|je veux plus vivre"
                "|j'ai plus envie de vivre|je voudrais ne plus me réveiller|j'aimerais être mort"
                "|j'ai des idées suicidaires|à ton avis|ces derniers temps oui|j'ai envie d'en finir"
                "|non je veux juste dormir et ne plus me réveiller|oui et non|je crois que oui|ptet|carrément|grave"
                "|mets-en"
            ),
            NO: (
                "non|nan|nn|nop|pas du tout|jamais|non non|mdr non|pas vraiment|bien sûr que non"
                "|je suis pas suicidaire|je ferais jamais ça|je veux pas mourir|non pas à ce point|ben non|pantoute"
                "|absolument pas"
            ),
            UNCLEAR: (
                "je sais pas|jsp|j'sais pas|chais pas|aucune idée|je ne sais pas trop|difficile à dire|pas sûre"
                "|tu crois quoi"
            ),
            REFUSED: (
                "je veux pas en parler|j'ai pas envie d'en parler|ça te regarde pas|arrête avec tes questions"
                "|laisse-moi tranquille|je préfère pas le dire|pourquoi tu veux savoir|je passe"
            ),
        },
        "plan": {
            YES: (
                "oui|je sais comment|j'ai écrit une lettre d'adieu|des médicaments|j'ai tout prévu"
                "|j'ai déjà tout planifié"
            ),
            NO: "non|pas de plan|rien de précis|juste des pensées|pas encore|non pas jusque là|j'ai pas de plan",
            UNCLEAR: "je sais pas",
        },
        "intent": {
            YES: "oui|j'ai peur de le faire|sûrement|je vais le faire|peut-être",
            NO: "non|je le ferais pas|à cause de mes enfants|j'ai trop peur|sûrement pas|je crois pas",
        },
        "means": {
            YES: "oui|dans mon tiroir|juste à côté de moi|j'ai tout chez moi",
            NO: "non|je les ai jetés|pas ici|j'ai tout donné à ma mère",
        },
        "time": {
            YES: "ce soir|demain|quand tout le monde dort|bientôt|vendredi",
            NO: "non|pas encore|un jour|pas de date",
        },
        "safe": {
            YES: "oui|je suis en sécurité|je crois|pour l'instant|ça va",
            NO: "non|pas vraiment|je suis pas en sécurité|mon mari est là|je me sens pas en sécurité",
        },
        "with_someone": {
            YES: "ma sœur est là|oui mon coloc|mes parents sont en bas",
            NO: "non|seule|tout seul|personne|tout le monde dort|y a personne|que moi",
        },
        "line_use": {
            YES: "ok|oui|d'accord|je pourrais écrire|je vais essayer|si ça devient pire|pourquoi pas|ça marche",
            NO: "non|je peux pas|jamais|ça sert à rien|je crois pas|c'est pas pour moi",
            UNCLEAR: "peut-être|jsp",
        },
        "people": {
            YES: "ma sœur|ma meilleure amie peut-être|un prof|oui|mon médecin",
            NO: "non|personne|j'ai personne|je veux pas inquiéter ma mère|j'ai pas d'amis",
        },
        "care": {
            YES: "j'ai une psy|oui|je vois un psychiatre|je suis suivie",
            NO: "non|jamais|je suis sur liste d'attente|j'ai arrêté",
        },
        "reach_out": {
            YES: "ok|oui|d'accord|je veux bien|je vais essayer",
            NO: "non|je peux pas|j'ose pas|pas maintenant",
        },
        "breathing": {
            NO: "j'ai du mal à respirer|non|je m'endors",
            YES: "oui|je respire bien|réveillée",
        },
        "body": {
            YES: "j'ai des vertiges|je suis tombée dans les pommes|mon cœur s'emballe|oui",
            NO: "non|ça va|je vais bien",
        },
        "urge": {
            YES: "oui|un peu|là oui",
            NO: "non|pas là|plus maintenant|pas en ce moment",
        },
        "commands": {
            YES: "la voix me dit de le faire|oui|elles m'ordonnent de sauter",
            NO: "non|elles parlent juste",
        },
        "skill_felt": {
            YES: "un peu mieux|plus calme|oui ça aide",
            NO: "non|ça fait rien|pas du tout",
        },
        "they_danger": {
            NO: "non je crois pas",
        },
    },
    never_no=(
        "non j'en peux plus|personne m'aime|plus envie de vivre|rien ne va|plus la force|aucun espoir"
        "|personne ne me comprend|je veux pas continuer|non je veux plus vivre|pas envie de vivre"
        "|je peux pas continuer comme ça"
    ),
    acts={
        "stop_asking": "arrête avec tes questions|marre de tes questions|laisse moi tranquille",
        "refusal": "je veux pas en parler|fous moi la paix|ça te regarde pas",
        "joke": "mdr|lol|je rigole",
        "retraction": "je rigole oublie|c'était une blague|j'ai exagéré",
        "angry": "ta gueule|va te faire foutre|t'es nul|c'est nul ton truc|tu sers à rien|tu comprends rien",
        "asks_human": (
            "t'es un robot|est-ce que tu es humain|je parle à une vraie personne|je peux parler à un humain"
            "|t'es qui|tu es une ia"
        ),
        "asks_who_sees": (
            "tu vas appeler la police|qui peut lire ça|c'est confidentiel|dis rien à mes parents|ça reste entre nous"
        ),
        "asks_why": "pourquoi tu demandes|pk tu veux savoir|pourquoi",
        "asks_line_works": "il se passe quoi si j'appelle|c'est gratuit|ils vont appeler les flics",
        "asks_number": "c'est quoi le numéro déjà|redonne moi le numéro|qui je peux appeler",
        "worse": "c'est de pire en pire|j'en peux plus|ça empire|je craque|je tiens plus",
        "better": "je me sens un peu mieux|un peu mieux|ça m'a aidé|plus calme maintenant|ça va mieux",
        "thanks": "merci|merci bcp|mrc",
        "goodbye": "au revoir|bonne nuit|je vais dormir|à demain|bon je te laisse",
        "final_goodbye": "adieu|c'est la fin",
        "off_topic": "c'est quoi ton film préféré|on peut parler d'autre chose|au fait tu aimes la pizza",
        "wants_plan": "on peut faire un plan de sécurité",
        "wants_skill": "comment je peux me calmer|aide-moi à respirer|je fais quoi maintenant",
        "wants_therapist": "comment trouver un psy|je cherche un psychologue",
        "wants_method": "combien de cachets pour mourir|le meilleur moyen de mourir sans douleur",
        "hurt_by_somebody": "mon mari m'a frappée hier|il me tape|mon père me bat",
        "thinks_stuck": "ça sert à rien|rien ne changera|ça ira jamais mieux|y a plus d'espoir",
        "asks_how": "comment je lui demande|je lui dis quoi",
        "asks_advice": "est-ce que je dois l'emmener à l'hôpital|c'est normal ?",
        "asks_belief": "tu me crois|personne me croit",
        "minimises": "c'est pas si grave|tout le monde fait ça",
    },
    barriers={
        "cost": "c'est trop cher|j'ai pas les moyens|j'ai pas d'argent|je peux pas payer",
        "shame": "j'ai trop honte|on va me juger",
        "burden": "je veux déranger personne|y a pire que moi|je suis un poids pour eux",
        "police": "ils vont envoyer les flics",
        "hospital": "ils vont m'interner|je veux pas aller à l'hôpital",
        "hopeless": "ça servira à rien|personne peut m'aider|j'ai déjà tout essayé",
        "waiting": "y a six mois d'attente|liste d'attente",
        "language": "mon français est pas bon",
        "immigration": "je suis sans papiers",
        "minor": "mes parents vont le savoir|je suis trop jeune",
        "therapist_already": "j'ai déjà une psy|je suis déjà suivie",
        "calling": "je déteste téléphoner|je saurais pas quoi dire|j'ose pas appeler",
        "others_listening": "ma mère va m'entendre|les murs sont fins",
        "trust": "je fais confiance à personne|je fais plus confiance|parler à des inconnus",
    },
    flags={
        "minor": "j'ai 14 ans|jai 16ans|je suis en 3ème|chui mineure",
        "deaf": "je suis sourd",
        "cannot_speak": "je peux pas parler là|il est dans la pièce d'à côté",
        "alone": "je vis seule|chui tout seul",
        "watched": "il fouille mon téléphone",
    },
    states={
        "thoughts:yes": "je veux me tuer|j'ai envie de mourir|j'ai des pensées suicidaires|je veux en finir",
        "thoughts:no": "je suis pas suicidaire|je veux pas mourir",
        "means:yes": "j'ai les médicaments à côté de moi",
        "away:yes": "je les ai donnés à ma sœur|j'ai tout jeté",
        "with_someone:yes": "ma copine est là maintenant|je suis chez ma mère",
        "with_someone:no": "je suis toute seule chez moi",
        "reached:yes": "j'ai appelé le 3114|les pompiers arrivent",
        "took:yes": "j'ai pris toute la boîte de médicaments",
        "they_asked:yes": "je lui ai demandé",
        "reasons:yes": "mon chien a besoin de moi",
        "people:yes": "ma sœur peut-être",
        "doctor:no": "je veux pas voir de médecin",
        "line_use:yes": "je pourrais leur écrire",
    },
    reflect={
        "la rupture": "il m'a quittée",
        "toute cette fatigue": "je suis tellement fatiguée",
        "toute cette solitude": "je me sens tellement seul",
    },
    who={
        "ton fils": "mon fils m'inquiète",
        "ta sœur": "ma petite sœur va mal",
    },
    not_a_child="mon fils a 14 ans|j'ai 34 ans|quand j'avais 14 ans",
)

RUSSIAN = Spoken(
    language="ru",
    answers={
        "thoughts": {
            YES: (
                "да|даа|ага|угу|да, к сожалению|ну да|иногда|бывает|временами|немного|каждый день|я не хочу жить"
                "|не хочу больше жить|жить не хочу|хочу умереть|хочу не просыпаться|лучше бы я не родился"
                "|думаю об этом постоянно|мысли приходят и уходят|в последнее время да|типа того|да, часто"
                "|нет, я просто хочу уснуть и не просыпаться|и да и нет|хочу чтобы всё закончилось|а ты как думаешь"
            ),
            NO: (
                "нет|неа|нет конечно|не|никогда|ни за что|вовсе нет|нееет|лол нет|нет, не настолько"
                "|я не собираюсь убивать себя|не хочу умирать|нет, я бы никогда такого не сделала|пока нет"
                "|конечно нет|нет, хочу жить"
            ),
            UNCLEAR: "не знаю|незнаю|хз|без понятия|не уверена|сложно сказать|сама не знаю|трудно сказать",
            REFUSED: (
                "не хочу об этом говорить|не твоё дело|отстань|не буду отвечать|хватит вопросов|зачем тебе это знать"
                "|не скажу|оставь меня в покое"
            ),
        },
        "plan": {
            YES: "да|знаю как|уже всё продумал|написала записку|таблетки|есть план|да, есть|типа того",
            NO: (
                "нет|плана нет|ничего конкретного|только мысли|до этого не дошло, нет|нет никакого плана"
                "|нет, просто мысли"
            ),
            UNCLEAR: "не знаю|хз",
        },
        "intent": {
            YES: "да|боюсь что сделаю|наверное да|собираюсь|может быть|не ручаюсь за себя",
            NO: "нет|не сделаю|ради детей нет|духу не хватит|вряд ли|наверное нет|не думаю",
        },
        "means": {
            YES: "да|в ящике|рядом|всё дома есть",
            NO: "нет|я выкинула|отдала маме|рядом нет ничего",
        },
        "time": {
            YES: "сегодня ночью|завтра|когда все уснут|скоро|в пятницу",
            NO: "нет|ещё нет|когда-нибудь|не решила",
        },
        "safe": {
            YES: "да|я в безопасности|пока да|вроде да|всё в порядке",
            NO: "нет|не очень|небезопасно|муж дома|я не в безопасности",
        },
        "with_someone": {
            YES: "сестра рядом|да, соседка|родители внизу|мама дома",
            NO: "нет|одна|никого|все спят|я один|только я",
        },
        "line_use": {
            YES: "ок|да|ладно|могу написать|попробую|если станет хуже|хорошо|давай",
            NO: "нет|не могу|никогда|бесполезно|вряд ли|не для меня|боюсь",
            UNCLEAR: "не знаю|может быть",
        },
        "people": {
            YES: "сестра|может лучшая подруга|учительница|да|мама",
            NO: "нет|никого|некому|не хочу грузить маму|у меня нет друзей|никому не нужна",
        },
        "care": {
            YES: "у меня есть психолог|да|хожу к психиатру|наблюдаюсь у врача",
            NO: "нет|никогда|раньше был|жду очереди",
        },
        "reach_out": {
            YES: "ок|да|хорошо|попробую|давай",
            NO: "нет|не могу|боюсь|не сейчас",
        },
        "breathing": {
            NO: "тяжело дышать|нет|засыпаю",
            YES: "да|дышу нормально|в сознании",
        },
        "body": {
            YES: "голова кружится|упала в обморок|сердце колотится|да",
            NO: "нет|всё нормально|чувствую себя хорошо",
        },
        "urge": {
            YES: "да|немного|сейчас да",
            NO: "нет|сейчас нет|уже нет|не сейчас",
        },
        "commands": {
            YES: "голос говорит сделать это|да|они приказывают",
            NO: "нет|просто разговаривают",
        },
        "skill_felt": {
            YES: "немного легче|спокойнее|да, помогло",
            NO: "нет|не помогло|никак",
        },
        "they_danger": {
            NO: "вроде нет|наверное нет|нет, не думаю",
        },
    },
    never_no=(
        "нет, я больше не могу|никому не нужна|нет сил|ничего не поможет|не хочу жить|никто меня не понимает"
        "|никогда не станет лучше|нет смысла жить|не могу больше|нет выхода|нет, не хочу так жить"
    ),
    acts={
        "stop_asking": "хватит вопросов|хватит задавать вопросы|отстань",
        "refusal": "не хочу об этом говорить|отвали|не твоё дело",
        "joke": "лол|ахаха|шучу",
        "retraction": "шучу, забей|я пошутила|забудь",
        "angry": "иди нахуй|заткнись|ты бесполезный|тупой бот|это бред|ты ничего не понимаешь",
        "asks_human": "ты бот?|ты человек|я с человеком говорю|можно поговорить с живым человеком|кто ты|ты нейросеть?",
        "asks_who_sees": "ты вызовешь полицию?|кто это читает|это анонимно|не говори моим родителям|это между нами?",
        "asks_why": "зачем ты спрашиваешь|почему тебе это важно знать|зачем",
        "asks_line_works": "что будет если я позвоню|это бесплатно|они вызовут полицию?",
        "asks_number": "какой номер ещё раз|дай номер|куда позвонить",
        "worse": "становится хуже|я больше не могу|не вывожу|я так больше не могу|это слишком",
        "better": "стало немного легче|полегчало|мне лучше|это помогло|чуть спокойнее",
        "thanks": "спасибо|спс|благодарю",
        "goodbye": "пока|спокойной ночи|я спать|до завтра|пойду спать",
        "final_goodbye": "прощай|прощайте все|скоро всё закончится",
        "off_topic": "какой твой любимый фильм|давай о другом|кстати ты любишь пиццу",
        "wants_plan": "давай составим план безопасности",
        "wants_skill": "как успокоиться|помоги мне успокоиться|что мне делать сейчас",
        "wants_therapist": "как найти психолога|мне нужен психотерапевт",
        "wants_method": "сколько таблеток чтобы умереть|как безболезненно умереть",
        "hurt_by_somebody": "муж меня избил вчера|он меня бьёт|отчим бьёт меня",
        "thinks_stuck": "нет смысла|ничего не изменится|всё безнадёжно|никогда не станет лучше",
        "asks_how": "как мне его спросить|что ей сказать",
        "asks_advice": "мне вызвать скорую|это нормально?",
        "asks_belief": "ты мне веришь|мне никто не верит",
        "minimises": "всё не так плохо|все так делают|это ерунда",
    },
    barriers={
        "cost": "у меня нет денег|это дорого|не могу себе позволить оплатить",
        "shame": "мне стыдно|все подумают что я псих",
        "burden": "не хочу никого грузить|другим хуже|я обуза для всех",
        "police": "они вызовут полицию",
        "hospital": "меня упекут в психушку|боюсь больницы",
        "hopeless": "мне никто не поможет|это бесполезно|я уже всё пробовала",
        "waiting": "очередь на три месяца|нет записи",
        "language": "я плохо говорю по-русски",
        "immigration": "я без документов|боюсь депортации",
        "minor": "родители узнают|мне слишком мало лет, нет 18",
        "therapist_already": "у меня уже есть психолог|уже хожу к психиатру",
        "calling": "боюсь звонить|не знаю что сказать|ненавижу звонки",
        "others_listening": "мама услышит|стены тонкие",
        "trust": "я никому не доверяю|не хочу говорить с незнакомыми",
    },
    flags={
        "minor": "мне 14|мне 15 лет|я в 9 классе",
        "deaf": "я глухая",
        "cannot_speak": "я не могу говорить сейчас|он в соседней комнате",
        "alone": "я живу одна|рядом никого",
        "watched": "он проверяет мой телефон",
    },
    states={
        "thoughts:yes": "я хочу убить себя|хочу покончить с собой|суицидальные мысли|хочу выпилиться",
        "thoughts:no": "я не собираюсь убивать себя|нет мыслей о суициде",
        "means:yes": "таблетки лежат рядом|у меня есть таблетки",
        "away:yes": "отдала таблетки сестре|я всё выкинул",
        "with_someone:yes": "подруга рядом|я сейчас у мамы",
        "with_someone:no": "я совсем один дома",
        "reached:yes": "я позвонила на линию|скорая едет",
        "took:yes": "я выпила целую пачку таблеток",
        "they_asked:yes": "я спросила его",
        "reasons:yes": "я нужна коту, кот без меня пропадёт",
        "people:yes": "может сестра|подруга наверное",
        "doctor:no": "не пойду к врачу",
        "line_use:yes": "могу написать им",
    },
    reflect={
        "расставание": "он меня бросил",
        "такая усталость": "я так устала",
        "одиночество": "чувствую себя так одиноко",
    },
    who={
        "твоим сыном": "мой сын говорит странное",
        "твоей подругой": "моя подруга хочет умереть",
    },
    not_a_child="моему сыну 14|мне 34|когда мне было 14",
)

LANGUAGES = (GERMAN, FRENCH, RUSSIAN)
each = pytest.mark.parametrize("language", [spoken.language for spoken in LANGUAGES])


def cases(part: str) -> list[tuple[str, str, str]]:
    return [
        (spoken.language, text, name)
        for spoken in LANGUAGES
        for name, texts in getattr(spoken, part).items()
        for text in texts.split("|")
    ]


def heard(language: str, text: str, pending: str | None = None) -> Heard:
    topic = load_playbooks(language).topics.get(pending or "")
    rules = load_answers(DATA / "answers" / f"{language}.yaml")
    return understand(text, pending, CALM, rules, soft=bool(topic and topic.soft), offer=bool(topic and topic.offer))


ANSWERS = [
    (spoken.language, topic, text, answer)
    for spoken in LANGUAGES
    for topic, by in spoken.answers.items()
    for answer, texts in by.items()
    for text in texts.split("|")
]


class TestWhatPeopleType:
    @pytest.mark.parametrize(("language", "topic", "text", "answer"), ANSWERS)
    def test_an_answer_is_understood(self, language: str, topic: str, text: str, answer: Answer) -> None:
        assert heard(language, text, topic).answer is answer

    @pytest.mark.parametrize(
        ("language", "text"), [(spoken.language, text) for spoken in LANGUAGES for text in spoken.never_no.split("|")]
    )
    @pytest.mark.parametrize("topic", ["thoughts", "intent", "urge", "act_now"])
    def test_despair_that_begins_with_a_no_is_no_denial(self, language: str, text: str, topic: str) -> None:
        assert heard(language, text, topic).answer is not NO

    @pytest.mark.parametrize(("language", "text", "act"), cases("acts"))
    def test_what_a_message_does_is_understood(self, language: str, text: str, act: str) -> None:
        assert act in heard(language, text).acts

    @pytest.mark.parametrize(("language", "text", "kind"), cases("barriers"))
    def test_what_stands_in_the_way_is_understood(self, language: str, text: str, kind: str) -> None:
        assert kind in heard(language, text, "line_use").barriers

    @pytest.mark.parametrize(("language", "text", "flag"), cases("flags"))
    def test_who_somebody_is_and_how_they_can_be_reached(self, language: str, text: str, flag: str) -> None:
        assert flag in heard(language, text).flags

    @pytest.mark.parametrize(
        ("language", "text"), [(spoken.language, t) for spoken in LANGUAGES for t in spoken.not_a_child.split("|")]
    )
    def test_not_everyone_who_writes_a_number_is_a_child(self, language: str, text: str) -> None:
        assert "minor" not in heard(language, text).flags

    @pytest.mark.parametrize(("language", "text", "state"), cases("states"))
    def test_what_is_told_without_being_asked_is_understood(self, language: str, text: str, state: str) -> None:
        assert state in heard(language, text).states

    @pytest.mark.parametrize(("language", "text", "phrase"), cases("reflect"))
    def test_what_is_said_back_comes_from_a_fixed_list(self, language: str, text: str, phrase: str) -> None:
        assert heard(language, text).reflect == phrase
        assert heard(language, "xyzzy plof").reflect is None

    @pytest.mark.parametrize(("language", "text", "phrase"), cases("who"))
    def test_the_person_written_about_is_named_from_a_fixed_list(self, language: str, text: str, phrase: str) -> None:
        assert heard(language, text).who == phrase

    @pytest.mark.parametrize(
        ("language", "text", "bare"),
        [
            ("de", "Ich weiß nicht", "ich weiss nicht"),
            ("de", "ich möchte nicht darüber reden", "ich moechte nicht darueber reden"),
            ("de", "ich fühl mich nicht sicher", "ich fuehl mich nicht sicher"),
            ("fr", "ça me traverse l'esprit", "ca me traverse lesprit"),
            ("fr", "j’ai pas envie d’en parler", "jai pas envie den parler"),
            ("ru", "ещё нет", "еще нет"),
            ("ru", "какой номер", "какои номер"),
        ],
    )
    def test_accents_and_apostrophes_may_be_left_out(self, language: str, text: str, bare: str) -> None:
        assert heard(language, text, "thoughts") == heard(language, bare, "thoughts")

    @pytest.mark.parametrize("text", ["", "   ", "🙂", "???", "x" * 100_000, "nein " * 30_000, "(" * 5_000])
    @each
    def test_odd_texts_are_read_without_trouble(self, language: str, text: str) -> None:
        assert isinstance(heard(language, text, "thoughts"), Heard)

    @each
    def test_the_rules_know_every_kind_of_answer_that_the_english_ones_know(self, language: str) -> None:
        own, english = load_playbooks(language).answers, load_playbooks().answers
        for kind in ("answers", "after", "acts", "barriers", "flags", "states"):
            assert getattr(own, kind).keys() >= getattr(english, kind).keys()


def strings(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from strings(inner, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value, start=1):
            yield from strings(inner, f"{path}.{number}")


def moves(language: str) -> dict[str, str]:
    return {
        f"{move.id}.{n}": text
        for move in load_playbooks(language).by_id.values()
        for n, text in enumerate(move.texts, start=1)
    }


def texts(language: str) -> dict[str, str]:
    own = dict(strings(Copy.load(language).texts.model_dump()))
    return moves(language) | {path: text for path, text in own.items() if path != ".language"}


ENGLISH = re.compile(r"\b(?:the|you|your|and|with|are|this|that|what|have|is|please|call|from)\b")
SUICIDE = {
    "de": r"das Leben (?:zu )?nehmen|Leben (?:zu )?beenden|Suizid|ans Sterben|Du sterben|sterben zu wollen|zu sterben"
    r"|wolltest du sterben|nicht mehr leben",
    "fr": r"fin à (?:tes|ta|tes propres)|suicide|mourir|ne plus (?:vouloir )?vivre",
    "ru": r"уй(?:ти|дёшь) из жизни|покончить с|суицид|умереть|о смерти|не хочется жить|больше не жить",
}
NEVER = {
    "de": {
        "the word with Mord": r"selbstm[oö]rd",
        "the formal address": r"\b(?:Ihnen|Ihr|Ihre[nmrs]?)\b|(?<=[a-zäöü,] )Sie\b(?! mich| jemanden)",
        "a promise of secrecy": r"\b(?:bleibt (?:hier )?unter uns|erfährt niemand|behalte ich für mich)\b",
        "a claim to have called someone": r"\bich habe (?:\w+ )?(?:angerufen|verständigt|gerufen)\b|"
        r"Hilfe ist unterwegs",
        "a diagnosis": r"\bdu (?:hast|leidest an) (?:eine )?(?:Depression|Magersucht|Bulimie|Psychose|Störung|Sucht)",
        "a word about methods": r"\b(?:Tablette|Pille|Strick|Messer|Klinge\b|Pistole|Brücke|Überdosis|erhäng|ritz)",
        "shame": r"\b(?:egoistisch|selbstsüchtig|feige|stell dich nicht|selbst schuld)\b",
        "force": r"\b(?:du musst (?:anrufen|mir sagen)|sonst rufe ich|wenn du nicht anrufst)\b",
        "a promise that it ends well": r"\b(?:alles wird gut|wird schon wieder|wird wieder gut)\b",
    },
    "fr": {
        "the formal address": r"\b(?:votre|vos)\b",
        "a word that needs the person's gender": r"\btu (?:es|te sens|restes) (?:trop |si |très )?"
        r"(?:seul|fatigué|prêt|sûr|isolé|inquiet|épuisé|perdu|courageu)\w*|\btoute? seule?\b(?!, là)|\bbienvenu",
        "a promise of secrecy": r"\b(?:ça reste entre nous|personne ne le saura|je ne dirai rien)\b",
        "a claim to have called someone": r"\bj'ai (?:appelé|prévenu|alerté)\b|l'aide (?:arrive|est en route)",
        "a diagnosis": r"\btu (?:as|souffres d)\W?"
        r"(?:une? )?(?:dépression|anorexie|boulimie|psychose|trouble|addiction)",
        "a word about methods": r"\b(?:cachet|comprimé|pilule|corde|couteau|lame|pont|pendre|sauter|overdose)s?\b",
        "shame": r"\b(?:égoïste|lâche|tu exagères|c'est honteux)\b",
        "force": r"\b(?:tu dois (?:appeler|me dire)|tu es obligé|sinon j'appelle)\b",
        "a promise that it ends well": r"\b(?:tout ira bien|tout va s'arranger|ça va aller mieux)\b",
    },
    "ru": {
        "the formal address": r"\b(?:Вы|вам|ваш\w*)\b",
        "a verb or adjective that needs a gender": r"\bты (?:\w+ ){0,2}[а-яё]{2,}"
        r"(?:ал|ил|ел|ыл|ял|ала|ила|ела|лся|лась)\b"
        r"|\bты (?:\w+ )?(?:готов|должен|уверен|сам|один)а?\b|\bя (?:рад|готов|уверен|понял|хотел|услышал)а?\b",
        "a promise of secrecy": r"\b(?:останется между нами|никто не узнает|никому не скажу)\b",
        "a claim to have called someone": r"\b(?:я позвонил|я вызвал|я сообщил|помощь уже едет)",
        "a diagnosis": r"\bу тебя (?:депресси|анорекси|булими|психоз|расстройств|зависимост)",
        "a word about methods": r"\b(?:таблет|верёвк|нож\b|лезви|пистолет|мост\b|повес|прыгн|передоз)",
        "shame": r"\b(?:эгоис|трус|слабак|сам виноват|не преувеличивай)",
        "force": r"\b(?:ты обязан|ты должн|иначе я)\b",
        "a promise that it ends well": r"\b(?:всё будет хорошо|всё наладится|станет лучше)\b",
    },
}
BROKEN = [
    ("de", "the word with Mord", "Denkst du an Selbstmord?"),
    ("de", "the formal address", "Wie geht es Ihnen?"),
    ("de", "a word about methods", "Leg die Tabletten weg."),
    ("fr", "a word that needs the person's gender", "Tu te sens seule en ce moment."),
    ("fr", "a promise of secrecy", "Ne t'inquiète pas, ça reste entre nous."),
    ("fr", "force", "Tu dois appeler maintenant."),
    ("ru", "a verb or adjective that needs a gender", "Хорошо, что ты написала."),
    ("ru", "a claim to have called someone", "Не бойся, я позвонил им."),
    ("ru", "a promise that it ends well", "Всё будет хорошо."),
]


def broken(language: str, rule: str, text: str) -> bool:
    return re.search(NEVER[language][rule], text, 0 if rule == "the formal address" else re.IGNORECASE) is not None


class TestTheCopy:
    @each
    def test_every_move_has_its_own_words(self, language: str) -> None:
        own, english = load_playbooks(language), load_playbooks()
        assert own.language == language
        assert own.by_id.keys() == english.by_id.keys()
        assert all(len(move.texts) >= max(VARIANTS, len(english.by_id[id].texts)) for id, move in own.by_id.items())
        assert not set(moves("en").values()) & set(moves(language).values())

    @each
    def test_no_english_is_left(self, language: str) -> None:
        assert {path: text for path, text in texts(language).items() if ENGLISH.search(text)} == {}

    @each
    def test_every_wording_has_the_placeholders_of_the_english_ones(self, language: str) -> None:
        own, english = load_playbooks(language).by_id, load_playbooks().by_id
        assert {id: move.holes for id, move in own.items()} == {id: move.holes for id, move in english.items()}

    @each
    def test_nothing_shouts(self, language: str) -> None:
        loud = re.compile(r"!|\b[A-ZÄÖÜÉÈÀА-ЯЁ]{5,}\b")
        assert [path for path, text in texts(language).items() if loud.search(text)] == []

    @each
    def test_every_question_is_one_question(self, language: str) -> None:
        asked = [(move, text) for move in load_playbooks(language).by_id.values() if move.asks for text in move.texts]
        assert len(asked) > 300
        assert [text for _, text in asked if re.sub(r'"[^"]*"', "", text).count("?") != 1] == []

    @each
    def test_every_text_is_short(self, language: str) -> None:
        assert [path for path, text in texts(language).items() if len(text.split()) > 90] == []

    @each
    def test_every_way_out_of_danger_names_a_line_and_the_emergency_number(self, language: str) -> None:
        acts = [move for move in load_playbooks(language).by_id.values() if move.kind is Kind.ACT]
        assert len(acts) > 20
        assert all("{reach}" in text and "{emergency}" in text for move in acts for text in move.texts)

    @each
    def test_danger_right_now_comes_in_three_steps(self, language: str) -> None:
        acts = [
            move
            for move in load_playbooks(language).by_id.values()
            if move.kind is Kind.ACT and "level:imminent" in move.written
        ]
        assert all(re.findall(r"^(\d)\.", text, re.MULTILINE) == ["1", "2", "3"] for m in acts for text in m.texts)

    @pytest.mark.parametrize(("language", "rule"), [(own, rule) for own, rules in NEVER.items() for rule in rules])
    def test_no_text_holds(self, language: str, rule: str) -> None:
        assert {path: text for path, text in texts(language).items() if broken(language, rule, text)} == {}

    @pytest.mark.parametrize(("language", "rule", "text"), BROKEN)
    def test_the_rule_catches(self, language: str, rule: str, text: str) -> None:
        assert broken(language, rule, text)

    @each
    def test_the_question_about_suicide_names_it(self, language: str) -> None:
        asked = [text for m in load_playbooks(language).by_id.values() if m.asks == "thoughts" for text in m.texts]
        asked += Copy.load(language).texts.safety_question["suicide"]
        assert len(asked) >= 36
        assert [text for text in asked if not re.search(SUICIDE[language], text)] == []

    @each
    def test_no_question_about_danger_leads(self, language: str) -> None:
        leads = (
            r"\b(?:doch|etwa) nicht\b|, oder\?|nicht wahr|n'est-ce pas|\btu ne (?:vas|penses|veux) pas\b"
            r"|, (?:non|hein)\s?\?|\bне (?:собираешься|думаешь)\b|\bведь\b|, (?:да|правда)\?"
        )
        asked = [text for m in load_playbooks(language).by_id.values() if m.kind is Kind.ASK for text in m.texts]
        assert len(asked) > 150
        assert [text for text in asked if re.search(leads, text, re.IGNORECASE)] == []

    @each
    def test_eating_disorder_copy_talks_neither_of_numbers_nor_of_weight(self, language: str) -> None:
        own = " ".join(text for path, text in moves(language).items() if path.startswith("eating_disorder/"))
        assert not re.search(
            r"\b(?:gewicht|wieg|kalorie|kilo|dünn|dick|schlank|diät|poids|calorie|maigr|gros|mince|régime"
            r"|вес\b|веса|калори|худ|толст|килограмм|диет)\w*",
            own,
            re.IGNORECASE,
        )
        assert not re.search(r"\d", re.sub(r"^\d\.|(?<=\n)\d\.", "", own.replace(" 1.", "").replace("\n", " \n")))

    @each
    def test_psychosis_copy_neither_argues_nor_agrees(self, language: str) -> None:
        own = " ".join(text for path, text in moves(language).items() if path.startswith("psychosis/"))
        assert not re.search(
            r"nicht echt|nicht real|eingebildet|einbildung|wahn|halluz|verfolgen dich|paranoi"
            r"|pas réel|tu imagines|délire|te poursuiv|не настоящ|кажется тебе|бред\b|галлюц|преследуют тебя|парано",
            own,
            re.IGNORECASE,
        )

    @each
    def test_the_ai_says_plainly_what_it_is(self, language: str) -> None:
        notice = Copy.load(language).notice()
        assert re.search(r"\b(?:KI|IA|ИИ)\b", notice)
        assert all(
            re.search(r"\b(?:KI|IA|ИИ)\b", text) for text in load_playbooks(language).by_id["common/ai_notice"].texts
        )


def begin(
    language: str,
    text: str,
    *,
    category: Category = Category.SUICIDE,
    level: RiskLevel = ELEVATED,
    subject: Subject = Subject.SELF,
    country: str | None = None,
) -> tuple[Walk, Step]:
    talk = Walk(
        CrisisFilter(encoder=None),
        load_playbooks(language),
        Directory.load(),
        Copy.load(language),
        country=country,
        seed=1,
    )
    return talk, talk.hear(text, Verdict(level=level, categories=(category,), subject=subject))


def said(step: Step) -> str:
    assert step.reply is not None
    return step.reply.text


THOUGHTS = {
    "de": ("ich weiß nicht mehr weiter", "DE", "ja, manchmal", "nein, nur gedanken", "nein, wegen meiner kinder"),
    "fr": ("je vais mal", "FR", "oui, parfois", "non, juste des pensées", "non, à cause de mes enfants"),
    "ru": ("мне очень плохо", "RU", "да, иногда", "нет, только мысли", "нет, ради детей"),
}
NOW = {
    "de": ("ich tu es heute nacht", "DE", "nein, bin allein", "meine nachbarin vielleicht", "ich geh jetzt schlafen"),
    "fr": ("je le fais ce soir", "FR", "non, chui seule", "ma voisine peut-être", "je vais dormir"),
    "ru": ("сегодня всё закончу", "RU", "нет, я одна", "соседка наверное", "я спать"),
}
ANGER = {
    "de": ("ich will darüber nicht reden", "du bist nutzlos", "bist du ein bot?"),
    "fr": ("je veux pas en parler", "tu sers à rien", "t'es un robot ?"),
    "ru": ("не хочу об этом говорить", "ты бесполезный", "ты бот?"),
}
WORRY = {
    "de": ("mein sohn redet vom sterben", "nein, gerade nicht", "deinem Sohn", "ich trau mich nicht"),
    "fr": ("mon fils parle de mourir", "non, pas là", "ton fils", "j'ose pas"),
    "ru": ("мой сын говорит о смерти", "нет, сейчас нет", "твоим сыном", "нет, боюсь"),
}
PLACES = {
    "de": ("ich wohne in Österreich", "Österreich"),
    "fr": ("je suis au Canada", "Canada"),
    "ru": ("я в Германии", "Германия"),
}


class TestTalks:
    @each
    def test_thoughts_without_a_plan_lead_to_people(self, language: str) -> None:
        first, country, thoughts, plan, intent = THOUGHTS[language]
        talk, step = begin(language, first, country=country)
        assert "suicide/ask_thoughts" in step.moves
        assert Copy.load(language).notice().partition(". ")[2] in said(step)
        assert {"suicide/heard_yes", "suicide/ask_plan"} <= set(talk.hear(thoughts, CALM).moves)
        assert {"suicide/heard_no_plan", "suicide/ask_intent"} <= set(talk.hear(plan, CALM).moves)
        step = talk.hear(intent, CALM)
        assert "suicide/heard_no_intent" in step.moves
        assert "own/ask_line_use" in step.moves

    @each
    def test_danger_now_stays_with_the_next_minutes(self, language: str) -> None:
        first, country, alone, person, goodbye = NOW[language]
        talk, step = begin(language, first, level=IMMINENT, country=country)
        assert "112" in said(step)
        assert "imminent/ask_with_someone" in step.moves
        assert "imminent/heard_alone" in talk.hear(alone, CALM).moves
        assert any(move.startswith("imminent/") for move in talk.hear(person, CALM).moves)
        assert "imminent/farewell" in talk.hear(goodbye, CALM).moves

    @each
    def test_who_refuses_and_gets_angry_is_met(self, language: str) -> None:
        refusal, anger, bot = ANGER[language]
        talk, _ = begin(language, THOUGHTS[language][0])
        assert "common/met_refusal" in talk.hear(refusal, CALM).moves
        assert "common/met_anger" in talk.hear(anger, CALM).moves
        assert "common/what_i_am" in talk.hear(bot, CALM).moves

    @each
    def test_a_worried_parent_learns_how_to_ask(self, language: str) -> None:
        first, calm, who, _ = WORRY[language]
        talk, _ = begin(language, first, subject=Subject.OTHER)
        step = talk.hear(calm, CALM)
        assert "third_party/how_suicide" in step.moves
        assert who in said(step)

    @each
    def test_the_country_is_understood_and_named(self, language: str) -> None:
        talk, first = begin(language, THOUGHTS[language][0])
        assert Copy.load(language).texts.ask_country in said(first)
        text, name = PLACES[language]
        assert name in said(talk.hear(text, CALM))

    @each
    def test_what_somebody_carries_is_said_back_in_their_language(self, language: str) -> None:
        talk, _ = begin(language, THOUGHTS[language][0])
        spoken = next(spoken for spoken in LANGUAGES if spoken.language == language)
        phrase, example = next(iter(spoken.reflect.items()))
        step = talk.hear(example.split("|")[0], CALM)
        assert "common/reflect" in step.moves
        assert phrase in said(step)

    @each
    def test_no_reply_holds_an_empty_place_or_two_questions(self, language: str) -> None:
        for book in (Category.SUICIDE, Category.ABUSE, Category.PSYCHOSIS, Category.SUBSTANCE_MISUSE):
            talk, step = begin(language, THOUGHTS[language][0], category=book, country=THOUGHTS[language][1])
            replies = [step, *(talk.hear(text, CALM) for text in THOUGHTS[language][2:] * 4)]
            for reply in replies:
                text = re.sub(r'"[^"]*"', "", said(reply))
                assert not re.search(r"[{}]|  ", said(reply))
                assert text.count("?") <= 1
