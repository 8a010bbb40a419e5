"""The laboratory's panels: which items a report has, in which unit, with which reference range, and how values fall.

An item's name, unit and range are ordinary; the codes are the laboratory's own. Values are drawn around the middle of the
range; a share of them outside it, as in a hospital, where people are ill.
"""

from typing import NamedTuple


class Item(NamedTuple):
    """One quantity. `low`..`high` is the reference range; a `texts` item has words for a result instead."""

    code: str
    name: str
    unit: str
    low: float
    high: float
    decimals: int
    texts: tuple[str, ...] = ()  # the first is the normal one


class Panel(NamedTuple):
    """One orderable test: everything a report of it says once."""

    code: str
    name: str
    specimen: str
    method: str
    hours: float  # from receipt to report
    items: tuple[Item, ...]


def _item(text: str) -> Item:
    code, name, unit, range_text, decimals = text.split("|")
    if decimals == "T":
        texts = tuple(range_text.split("/"))
        return Item(code, name, unit, 0, 0, 0, texts)
    low, high = range_text.split("~")
    return Item(code, name, unit, float(low), float(high), int(decimals))


def _panel(text: str) -> Panel:
    head, *items = text.strip().splitlines()
    code, name, specimen, method, hours = head.split("|")
    return Panel(code, name, specimen, method, float(hours), tuple(map(_item, items)))


_LIST = """
XCG|血常规（五分类）|静脉血|流式细胞术、电阻抗法|0.6
WBC|白细胞计数|10^9/L|3.5~9.5|2
NEUT%|中性粒细胞百分比|%|40~75|1
LYMPH%|淋巴细胞百分比|%|20~50|1
MONO%|单核细胞百分比|%|3~10|1
EO%|嗜酸性粒细胞百分比|%|0.4~8|1
BASO%|嗜碱性粒细胞百分比|%|0~1|1
NEUT#|中性粒细胞绝对值|10^9/L|1.8~6.3|2
LYMPH#|淋巴细胞绝对值|10^9/L|1.1~3.2|2
MONO#|单核细胞绝对值|10^9/L|0.1~0.6|2
EO#|嗜酸性粒细胞绝对值|10^9/L|0.02~0.52|2
BASO#|嗜碱性粒细胞绝对值|10^9/L|0~0.06|2
RBC|红细胞计数|10^12/L|4.3~5.8|2
HGB|血红蛋白|g/L|115~175|0
HCT|红细胞压积|%|35~50|1
MCV|平均红细胞体积|fL|82~100|1
MCH|平均红细胞血红蛋白含量|pg|27~34|1
MCHC|平均红细胞血红蛋白浓度|g/L|316~354|0
RDW-CV|红细胞分布宽度变异系数|%|11.5~14.5|1
RDW-SD|红细胞分布宽度标准差|fL|37~54|1
PLT|血小板计数|10^9/L|125~350|0
MPV|平均血小板体积|fL|7.4~12.5|1
PCT|血小板压积|%|0.11~0.28|2
PDW|血小板分布宽度|fL|9~17|1

CRP|C反应蛋白|静脉血|免疫比浊法|0.6
hsCRP|超敏C反应蛋白|mg/L|0~5|2
SAA|血清淀粉样蛋白A|mg/L|0~10|1

SHQT|生化全套|血清|比色法、酶法、离子选择电极法|2.4
K|钾|mmol/L|3.5~5.3|2
Na|钠|mmol/L|137~147|1
Cl|氯|mmol/L|99~110|1
Ca|钙|mmol/L|2.11~2.52|2
P|无机磷|mmol/L|0.85~1.51|2
CO2|二氧化碳结合力|mmol/L|22~29|1
GLU|葡萄糖|mmol/L|3.9~6.1|2
UREA|尿素|mmol/L|3.1~8.0|2
CREA|肌酐|μmol/L|57~97|1
UA|尿酸|μmol/L|208~428|0
ALT|丙氨酸氨基转移酶|U/L|9~50|0
AST|天门冬氨酸氨基转移酶|U/L|15~40|0
TP|总蛋白|g/L|65~85|1
ALB|白蛋白|g/L|40~55|1
TBIL|总胆红素|μmol/L|3.4~20.5|1
CK|肌酸激酶|U/L|50~310|0
LDH|乳酸脱氢酶|U/L|120~250|0

GGN|肝功能|血清|速率法、比色法|2.2
ALT|丙氨酸氨基转移酶|U/L|9~50|0
AST|天门冬氨酸氨基转移酶|U/L|15~40|0
AST/ALT|谷草/谷丙比值||0.8~1.5|2
GGT|γ-谷氨酰转移酶|U/L|10~60|0
ALP|碱性磷酸酶|U/L|45~125|0
TBIL|总胆红素|μmol/L|3.4~20.5|1
DBIL|直接胆红素|μmol/L|0~6.8|1
IBIL|间接胆红素|μmol/L|3.4~13.7|1
TP|总蛋白|g/L|65~85|1
ALB|白蛋白|g/L|40~55|1
GLO|球蛋白|g/L|20~40|1
A/G|白球比||1.2~2.4|2
TBA|总胆汁酸|μmol/L|0~10|1
CHE|胆碱酯酶|U/L|5000~12000|0
PA|前白蛋白|mg/L|200~430|0

SG|肾功能|血清|酶法、免疫比浊法|2.2
UREA|尿素|mmol/L|3.1~8.0|2
CREA|肌酐|μmol/L|57~97|1
UA|尿酸|μmol/L|208~428|0
CYSC|胱抑素C|mg/L|0.59~1.03|2
B2MG|β2微球蛋白|mg/L|1~3|2
eGFR|估算肾小球滤过率|ml/min|90~140|1
RBP|视黄醇结合蛋白|mg/L|25~70|1

XZ|血脂|血清|酶法、直接法|2.2
TC|总胆固醇|mmol/L|2.9~5.2|2
TG|甘油三酯|mmol/L|0.45~1.7|2
HDL-C|高密度脂蛋白胆固醇|mmol/L|1.04~1.96|2
LDL-C|低密度脂蛋白胆固醇|mmol/L|1.8~3.37|2
ApoA1|载脂蛋白A1|g/L|1~1.6|2
ApoB|载脂蛋白B|g/L|0.55~1.05|2
Lp(a)|脂蛋白(a)|mg/L|0~300|0

XJ|心肌损伤标志物|血浆|化学发光法|1.0
cTnI|肌钙蛋白I|ng/mL|0~0.04|3
CK-MB|肌酸激酶同工酶|U/L|0~24|1
MYO|肌红蛋白|ng/mL|0~70|1
NT-proBNP|N末端B型利钠肽原|pg/mL|0~300|0
LDH|乳酸脱氢酶|U/L|120~250|0
AST|天门冬氨酸氨基转移酶|U/L|15~40|0
HBDH|α-羟丁酸脱氢酶|U/L|72~182|0

NX|凝血功能|枸橼酸钠抗凝血浆|凝固法、免疫比浊法|1.5
PT|凝血酶原时间|s|9.8~12.1|1
PT%|凝血酶原活动度|%|70~130|1
INR|国际标准化比值||0.8~1.2|2
APTT|活化部分凝血活酶时间|s|25~37|1
TT|凝血酶时间|s|14~21|1
FIB|纤维蛋白原|g/L|2~4|2
D-D|D-二聚体|mg/L|0~0.55|2
FDP|纤维蛋白(原)降解产物|mg/L|0~5|1

NCG|尿常规及尿沉渣|随机尿|干化学法、流式细胞术|0.9
U-COL|颜色||淡黄色/黄色/深黄色/淡红色|T
U-TUR|透明度||清晰透明/微混/混浊|T
U-GLU|尿葡萄糖||阴性(-)/弱阳性(±)/阳性(1+)/阳性(3+)|T
U-PRO|尿蛋白||阴性(-)/弱阳性(±)/阳性(1+)/阳性(2+)|T
U-BLD|尿隐血||阴性(-)/阳性(1+)/阳性(2+)/阳性(3+)|T
U-LEU|尿白细胞酯酶||阴性(-)/弱阳性(±)/阳性(1+)/阳性(3+)|T
U-NIT|亚硝酸盐||阴性(-)/阳性(+)|T
U-KET|尿酮体||阴性(-)/弱阳性(±)/阳性(1+)|T
U-BIL|尿胆红素||阴性(-)/阳性(1+)|T
U-URO|尿胆原||正常(Normal)/阳性(1+)|T
U-PH|酸碱度||5.4~8.4|1
U-SG|尿比重||1.003~1.03|3
U-WBC|尿沉渣白细胞|个/μL|0~25|0
U-RBC|尿沉渣红细胞|个/μL|0~17|0
U-EC|上皮细胞|个/μL|0~28|0
U-CAST|管型|个/μL|0~2|1
U-BACT|细菌|个/μL|0~1200|0

BCG|粪便常规|粪便|涂片镜检法、免疫层析法|0.9
S-COL|颜色||黄褐色/黄色/褐色/暗红色|T
S-CON|性状||软便/糊状/稀水样/硬便|T
S-MUC|黏液||未见/可见|T
S-WBC|镜检白细胞|/HP|未见/0-2/3-5/++|T
S-RBC|镜检红细胞|/HP|未见/0-1/2-4/+|T
S-OVA|寄生虫卵||未查见/查见蛔虫卵|T
S-OB|隐血试验||阴性(-)/阳性(+)|T
S-RV|轮状病毒抗原||阴性(-)/阳性(+)|T
S-FAT|脂肪球|/HP|未见/+|T

BDCG|白带常规|阴道分泌物|涂片镜检法|0.7
V-CLN|清洁度||Ⅱ度/Ⅰ度/Ⅲ度/Ⅳ度|T
V-TRI|滴虫||未检出/检出|T
V-FUN|真菌||未检出/检出芽生孢子及假菌丝|T
V-WBC|白细胞|/HP|5-10/10-15/>30|T
V-EPI|上皮细胞||(++)/(+)/(+++)|T
V-CLU|线索细胞||阴性(-)/阳性(+)|T
V-PH|pH值||3.8~4.5|1

JG|甲状腺功能|血清|电化学发光法|5.0
TSH|促甲状腺激素|mIU/L|0.27~4.2|3
FT3|游离三碘甲状腺原氨酸|pmol/L|3.1~6.8|2
FT4|游离甲状腺素|pmol/L|12~22|2
TT3|三碘甲状腺原氨酸|nmol/L|1.3~3.1|2
TT4|甲状腺素|nmol/L|66~181|1
TPOAb|抗甲状腺过氧化物酶抗体|IU/mL|0~34|1
TGAb|抗甲状腺球蛋白抗体|IU/mL|0~115|1

TH|糖代谢|血清|己糖激酶法、高效液相色谱法|2.5
FPG|空腹血糖|mmol/L|3.9~6.1|2
PG2h|餐后2小时血糖|mmol/L|4.4~7.8|2
HbA1c|糖化血红蛋白|%|4~6|1
C-P|空腹C肽|ng/mL|1.1~4.4|2
INS|空腹胰岛素|μU/mL|2.6~24.9|1

HP|幽门螺杆菌检测|呼气|碳13尿素呼气试验|1.0
DOB|碳13呼气试验DOB值||0~4|1
HP-R|幽门螺杆菌||阴性(-)/阳性(+)|T

YG|乙肝五项|血清|化学发光法|6.0
HBsAg|乙肝表面抗原|IU/mL|阴性 <0.05/阳性 >250.00|T
HBsAb|乙肝表面抗体|mIU/mL|阳性 126.40/阴性 2.31/阳性 >1000.00|T
HBeAg|乙肝e抗原|S/CO|阴性 0.32/阳性 18.60|T
HBeAb|乙肝e抗体|S/CO|阴性 1.86/阳性 0.04|T
HBcAb|乙肝核心抗体|S/CO|阴性 0.11/阳性 9.87|T

FS|类风湿三项|血清|免疫比浊法、化学发光法|5.0
RF|类风湿因子|IU/mL|0~20|1
ASO|抗链球菌溶血素O|IU/mL|0~200|0
CCP|抗环瓜氨酸肽抗体|U/mL|0~17|1
ESR|血沉|mm/h|0~20|0

IGE|过敏原检测|血清|免疫印迹法|20
T-IgE|总免疫球蛋白E|IU/mL|0~100|1
D1|屋尘螨|kU/L|阴性 0.12/1级 0.56/3级 8.20|T
E1|猫毛皮屑|kU/L|阴性 <0.10/2级 1.44|T
W1|豚草|kU/L|阴性 0.21/1级 0.48|T
F1|鸡蛋白|kU/L|阴性 0.08/1级 0.62|T
F2|牛奶|kU/L|阴性 0.15/2级 2.10|T
F24|虾|kU/L|阴性 <0.10/2级 1.90|T
M2|霉菌组合|kU/L|阴性 0.18/1级 0.40|T

PSA|前列腺特异抗原|血清|化学发光法|5.0
TPSA|总前列腺特异抗原|ng/mL|0~4|3
FPSA|游离前列腺特异抗原|ng/mL|0~0.93|3
F/T|游离/总比值||0.25~1|2

XJS|性激素六项|血清|化学发光法|5.0
FSH|卵泡刺激素|mIU/mL|3.5~12.5|2
LH|黄体生成素|mIU/mL|2.4~12.6|2
E2|雌二醇|pg/mL|12.4~233|1
P4|孕酮|ng/mL|0.05~0.89|2
PRL|泌乳素|ng/mL|4.79~23.3|2
T|睾酮|ng/mL|0.08~0.48|2

ZL|肿瘤标志物|血清|电化学发光法|8.0
CEA|癌胚抗原|ng/mL|0~5|2
AFP|甲胎蛋白|ng/mL|0~7|2
CA199|糖类抗原19-9|U/mL|0~27|2
CA125|糖类抗原125|U/mL|0~35|2
CA153|糖类抗原15-3|U/mL|0~25|2
NSE|神经元特异性烯醇化酶|ng/mL|0~16.3|2
CYFRA21-1|细胞角蛋白19片段|ng/mL|0~3.3|2
SCC|鳞状上皮细胞癌抗原|ng/mL|0~1.5|2

DJZ|电解质四项|血清|离子选择电极法|0.8
K|钾|mmol/L|3.5~5.3|2
Na|钠|mmol/L|137~147|1
Cl|氯|mmol/L|99~110|1
Ca|钙|mmol/L|2.11~2.52|2

XT|血糖|血浆|己糖激酶法|0.8
GLU|葡萄糖|mmol/L|3.9~6.1|2

PCT|降钙素原|血清|电化学发光法|1.2
PCT|降钙素原|ng/mL|0~0.05|3

DFM|淀粉酶脂肪酶|血清|速率法|1.2
AMY|淀粉酶|U/L|35~135|0
LPS|脂肪酶|U/L|13~60|0
"""

PANELS: dict[str, Panel] = {panel.code: panel for panel in map(_panel, _LIST.strip().split("\n\n"))}
# What the wards ask for again and again, each as often as it stands here.
INPATIENT_PANELS: tuple[str, ...] = (
    "XCG", "XT", "DJZ", "CRP", "SG", "PCT", "NX", "XT", "DJZ", "CRP", "XJ", "XT", "PCT", "DFM", "SHQT", "CRP", "XT",
)  # fmt: skip
ROUTINE_PANELS: tuple[str, ...] = ("XCG", "CRP", "DJZ", "XT", "NX", "CRP", "DFM")
