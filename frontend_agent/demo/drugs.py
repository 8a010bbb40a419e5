"""The hospital's drug dictionary: invented codes, ordinary drugs, ordinary doses.

Routes, frequencies and dosage forms are the hospital's own codes; mappings/demo_his/codes says what they mean nationally.
"""

from typing import NamedTuple


class Drug(NamedTuple):
    """One line of the dictionary, with the way it is usually prescribed."""

    code: str
    name: str
    specification: str
    form: str  # local dosage form code
    unit: str  # what it is dispensed in
    price: float
    dose: str
    dose_unit: str
    route: str  # local route code
    frequency: str  # local frequency code
    quantities: tuple[int, ...]  # packs commonly given


FREQUENCIES: dict[str, tuple[str, str]] = {  # local code: name, times a day
    "QD": ("每日一次", "1"),
    "BID": ("每日两次", "2"),
    "TID": ("每日三次", "3"),
    "QID": ("每日四次", "4"),
    "QN": ("每晚一次", "1"),
    "Q12H": ("每12小时一次", "2"),
    "Q8H": ("每8小时一次", "3"),
    "Q6H": ("每6小时一次", "4"),
    "ST": ("立即", "1"),
    "QOD": ("隔日一次", "0.5"),
}
ROUTES: dict[str, str] = {
    "PO": "口服",
    "SL": "舌下含服",
    "IH": "皮下注射",
    "ID": "皮内注射",
    "IM": "肌肉注射",
    "IV": "静脉推注",
    "IVGTT": "静脉滴注",
    "XR": "吸入",
    "ZC": "直肠给药",
    "YD": "阴道用药",
    "DY": "滴眼",
    "DB": "滴鼻",
    "HH": "含化",
    "WF": "外敷",
    "WC": "外擦",
}
FORMS: dict[str, str] = {
    "PJ": "片剂",
    "HSP": "缓释片",
    "CRP": "肠溶片",
    "JN": "胶囊",
    "CRJN": "肠溶胶囊",
    "RJN": "软胶囊",
    "ZSY": "注射液",
    "FZJ": "粉针剂",
    "SYJ": "输液剂",
    "KL": "颗粒剂",
    "KFY": "口服液",
    "TJ": "糖浆剂",
    "DYJ": "滴眼剂",
    "DBJ": "滴鼻剂",
    "RG": "软膏剂",
    "QW": "气雾剂",
    "XRJ": "吸入剂",
    "SJ": "栓剂",
    "WJ": "丸剂",
    "TJG": "贴膏",
    "SAN": "散剂",
    "NJ": "凝胶剂",
}


def _drug(text: str) -> Drug:
    code, name, spec, form, unit, price, dose, dose_unit, route, frequency, quantities = text.split("|")
    packs = tuple(int(q) for q in quantities.split(","))
    return Drug(code, name, spec, form, unit, float(price), dose, dose_unit, route, frequency, packs)


_LIST = """
X0101|阿莫西林胶囊|0.25g*24粒|JN|盒|9.80|0.5|g|PO|TID|1,2
X0102|头孢克肟分散片|0.1g*10片|PJ|盒|26.40|0.1|g|PO|BID|1,2
X0103|头孢呋辛酯片|0.25g*12片|PJ|盒|22.35|0.25|g|PO|BID|1,2
X0104|阿奇霉素片|0.25g*6片|PJ|盒|18.60|0.5|g|PO|QD|1
X0105|左氧氟沙星片|0.5g*4片|PJ|盒|15.72|0.5|g|PO|QD|1,2
X0106|注射用头孢曲松钠|1.0g|FZJ|支|6.48|2|g|IVGTT|QD|2,4,6
X0107|注射用头孢呋辛钠|0.75g|FZJ|支|7.26|1.5|g|IVGTT|BID|4,6
X0108|甲硝唑片|0.2g*100片|PJ|瓶|4.50|0.4|g|PO|TID|1
X0109|奥司他韦胶囊|75mg*10粒|JN|盒|58.80|75|mg|PO|BID|1
X0110|克拉霉素片|0.25g*8片|PJ|盒|16.90|0.5|g|PO|BID|1,2
X0201|硝苯地平控释片|30mg*7片|HSP|盒|24.78|30|mg|PO|QD|2,4
X0202|苯磺酸氨氯地平片|5mg*28片|PJ|盒|12.36|5|mg|PO|QD|1,2
X0203|厄贝沙坦片|0.15g*28片|PJ|盒|19.88|0.15|g|PO|QD|1,2
X0204|美托洛尔缓释片|47.5mg*28片|HSP|盒|31.50|47.5|mg|PO|QD|1
X0205|阿司匹林肠溶片|100mg*30片|CRP|盒|13.20|100|mg|PO|QD|1,2
X0206|阿托伐他汀钙片|20mg*28片|PJ|盒|36.40|20|mg|PO|QN|1,2
X0207|氯吡格雷片|75mg*28片|PJ|盒|52.00|75|mg|PO|QD|1
X0208|单硝酸异山梨酯缓释片|40mg*24片|HSP|盒|21.60|40|mg|PO|QD|1
X0209|硝酸甘油片|0.5mg*100片|PJ|瓶|27.90|0.5|mg|SL|ST|1
X0210|螺内酯片|20mg*100片|PJ|瓶|11.20|20|mg|PO|QD|1
X0211|呋塞米注射液|2ml:20mg|ZSY|支|1.86|20|mg|IV|ST|1,2
X0301|二甲双胍片|0.5g*60片|PJ|盒|14.30|0.5|g|PO|BID|1,2
X0302|格列美脲片|2mg*30片|PJ|盒|20.64|2|mg|PO|QD|1,2
X0303|阿卡波糖片|50mg*30片|PJ|盒|12.88|50|mg|PO|TID|2,3
X0304|门冬胰岛素30注射液|3ml:300单位|ZSY|支|43.20|14|单位|IH|BID|2,3
X0305|达格列净片|10mg*14片|PJ|盒|60.90|10|mg|PO|QD|1,2
X0306|左甲状腺素钠片|50μg*100片|PJ|盒|23.52|50|μg|PO|QD|1
X0307|甲巯咪唑片|5mg*50片|PJ|盒|16.70|10|mg|PO|TID|2
X0401|奥美拉唑肠溶胶囊|20mg*14粒|CRJN|盒|15.96|20|mg|PO|BID|1,2
X0402|铝碳酸镁咀嚼片|0.5g*20片|PJ|盒|17.50|1|g|PO|TID|1,2
X0403|多潘立酮片|10mg*30片|PJ|盒|13.44|10|mg|PO|TID|1
X0404|蒙脱石散|3g*10袋|SAN|盒|12.10|3|g|PO|TID|1,2
X0405|双歧杆菌三联活菌胶囊|0.21g*36粒|JN|盒|32.76|0.42|g|PO|TID|1
X0406|泮托拉唑钠注射剂|40mg|FZJ|支|9.92|40|mg|IVGTT|QD|2,3
X0407|口服补液盐散|5.125g*6袋|SAN|盒|8.94|1|袋|PO|TID|1,2
X0408|开塞露|20ml|SJ|支|1.20|20|ml|ZC|ST|2,4
X0501|复方甘草口服溶液|100ml|KFY|瓶|7.35|10|ml|PO|TID|1,2
X0502|盐酸氨溴索口服液|100ml:0.6g|KFY|瓶|18.12|10|ml|PO|TID|1
X0503|沙丁胺醇气雾剂|0.1mg*200揿|QW|瓶|20.50|0.2|mg|XR|ST|1
X0504|布地奈德福莫特罗粉吸入剂|160μg*60吸|XRJ|支|142.00|1|吸|XR|BID|1
X0505|孟鲁司特钠片|10mg*5片|PJ|盒|25.35|10|mg|PO|QN|2,3
X0506|复方福尔可定口服液|150ml|KFY|瓶|22.70|10|ml|PO|TID|1
X0601|布洛芬缓释胶囊|0.3g*20粒|JN|盒|12.00|0.3|g|PO|BID|1
X0602|对乙酰氨基酚片|0.5g*20片|PJ|盒|5.60|0.5|g|PO|Q6H|1
X0603|塞来昔布胶囊|0.2g*10粒|JN|盒|28.90|0.2|g|PO|BID|1,2
X0604|双氯芬酸二乙胺乳胶剂|20g|RG|支|16.32|1|g|WC|TID|1
X0605|氟比洛芬凝胶贴膏|40mg*6贴|TJG|盒|48.60|1|贴|WF|BID|1,2
X0606|碳酸钙D3片|600mg*60片|PJ|瓶|33.90|600|mg|PO|QD|1
X0607|阿仑膦酸钠片|70mg*4片|PJ|盒|64.00|70|mg|PO|QOD|1
X0701|甲钴胺片|0.5mg*20片|PJ|盒|15.20|0.5|mg|PO|TID|2,3
X0702|倍他司汀片|6mg*30片|PJ|盒|18.48|6|mg|PO|TID|1,2
X0703|氟桂利嗪胶囊|5mg*20粒|JN|盒|9.46|10|mg|PO|QN|1
X0704|艾司唑仑片|1mg*20片|PJ|盒|4.20|1|mg|PO|QN|1
X0705|舍曲林片|50mg*14片|PJ|盒|39.60|50|mg|PO|QD|1,2
X0706|普瑞巴林胶囊|75mg*8粒|JN|盒|26.16|75|mg|PO|BID|2
X0801|氯雷他定片|10mg*12片|PJ|盒|11.70|10|mg|PO|QD|1
X0802|糠酸莫米松乳膏|10g|RG|支|13.58|0.5|g|WC|QD|1,2
X0803|复方酮康唑软膏|7g|RG|支|6.95|0.5|g|WC|BID|1,2
X0804|炉甘石洗剂|100ml|RG|瓶|5.10|5|ml|WC|TID|1
X0805|依巴斯汀片|10mg*10片|PJ|盒|19.25|10|mg|PO|QD|1
X0901|左氧氟沙星滴眼液|5ml:24.4mg|DYJ|支|14.40|1|滴|DY|QID|1,2
X0902|玻璃酸钠滴眼液|5ml:5mg|DYJ|支|21.84|1|滴|DY|QID|1,2
X0903|妥布霉素地塞米松滴眼液|5ml|DYJ|支|23.76|1|滴|DY|TID|1
X0904|拉坦前列素滴眼液|2.5ml:125μg|DYJ|支|96.80|1|滴|DY|QN|1
X0905|糠酸莫米松鼻喷雾剂|50μg*60揿|DBJ|支|49.92|2|揿|DB|QD|1
X0906|氧氟沙星滴耳液|5ml:15mg|DBJ|支|8.70|6|滴|WC|BID|1
X0907|西吡氯铵含片|2mg*18片|PJ|盒|15.48|2|mg|HH|QID|1,2
X1001|黄体酮软胶囊|0.1g*20粒|RJN|盒|42.56|0.1|g|PO|BID|1
X1002|叶酸片|0.4mg*31片|PJ|瓶|10.85|0.4|mg|PO|QD|1,2
X1003|多糖铁复合物胶囊|0.15g*10粒|JN|盒|29.70|0.15|g|PO|QD|2
X1004|硝呋太尔制霉素阴道软胶囊|6粒|RJN|盒|38.40|1|粒|YD|QN|1
X1005|益母草颗粒|15g*10袋|KL|盒|17.85|15|g|PO|BID|1,2
X1101|坦索罗辛缓释胶囊|0.2mg*10粒|JN|盒|27.30|0.2|mg|PO|QN|2,3
X1102|非那雄胺片|5mg*10片|PJ|盒|30.24|5|mg|PO|QD|2
X1103|非布司他片|40mg*14片|PJ|盒|44.80|40|mg|PO|QD|1
X1104|碳酸氢钠片|0.5g*100片|PJ|瓶|4.80|1|g|PO|TID|1
X1105|金水宝胶囊|0.33g*72粒|JN|盒|45.60|0.99|g|PO|TID|1,2
X1201|小儿氨酚黄那敏颗粒|6g*10袋|KL|盒|8.26|1|袋|PO|TID|1
X1202|布洛芬混悬液|100ml:2g|KFY|瓶|17.22|5|ml|PO|Q8H|1
X1203|头孢克洛干混悬剂|0.125g*6袋|KL|盒|19.44|0.125|g|PO|TID|1,2
X1204|小儿豉翘清热颗粒|2g*9袋|KL|盒|33.66|2|g|PO|TID|1
X1205|葡萄糖酸钙锌口服溶液|10ml*24支|KFY|盒|40.32|10|ml|PO|QD|1
X1206|维生素AD滴剂|1500单位*30粒|RJN|盒|28.20|1|粒|PO|QD|1
X1301|连花清瘟胶囊|0.35g*48粒|JN|盒|24.96|1.4|g|PO|TID|1
X1302|蓝芩口服液|10ml*12支|KFY|盒|35.52|20|ml|PO|TID|1
X1303|六味地黄丸|200丸|WJ|瓶|21.30|8|丸|PO|TID|1,2
X1304|归脾丸|200丸|WJ|瓶|18.96|8|丸|PO|TID|1,2
X1305|血府逐瘀口服液|10ml*10支|KFY|盒|37.80|10|ml|PO|TID|2
X1306|独活寄生丸|9g*10丸|WJ|盒|26.88|9|g|PO|BID|2
X1307|香砂养胃丸|200丸|WJ|瓶|16.44|8|丸|PO|TID|1,2
X1308|复方丹参滴丸|27mg*180丸|WJ|瓶|29.16|270|mg|PO|TID|1
X1401|0.9%氯化钠注射液|100ml|SYJ|袋|3.72|100|ml|IVGTT|QD|2,4,6
X1402|5%葡萄糖注射液|250ml|SYJ|袋|4.08|250|ml|IVGTT|QD|2,3
X1403|破伤风抗毒素注射液|1500IU|ZSY|支|12.60|1500|IU|IM|ST|1
X1404|地塞米松磷酸钠注射液|1ml:5mg|ZSY|支|0.98|5|mg|IM|ST|1,2
X1405|盐酸消旋山莨菪碱注射液|1ml:10mg|ZSY|支|1.44|10|mg|IM|ST|1
X1406|莫匹罗星软膏|5g|RG|支|18.30|0.5|g|WC|TID|1
X1407|迈之灵片|150mg*20片|PJ|盒|41.40|300|mg|PO|BID|1,2
X1408|痔疮栓|2g*6粒|SJ|盒|23.10|1|粒|ZC|BID|1,2
X1409|人工牛黄甲硝唑胶囊|24粒|JN|盒|9.12|2|粒|PO|TID|1
"""

DRUGS: dict[str, Drug] = {drug.code: drug for drug in map(_drug, _LIST.strip().splitlines())}
