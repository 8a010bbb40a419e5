"""Which functions and kinds of syntax a query may use, per engine: everything that is not here is refused.

A function is on a list because it only computes from its arguments, on every of its engine that we know. None
waits, locks, counts up a sequence, reads or writes a file, opens a connection, runs a statement given as text, or changes
the session. Lower case; `DBMS_LOB.SUBSTR` and its like are named with their package.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMMON = _names(
    "count sum avg min max coalesce nullif cast upper lower trim substring abs round floor ceiling mod power sqrt exp sign"
    " row_number rank dense_rank ntile percent_rank cume_dist lag lead first_value last_value nth_value extract position"
    " char_length character_length octet_length case"
)

_SHARED = _COMMON | _names(
    "ceil ln log log10 pi sin cos tan asin acos atan atan2 cot degrees radians greatest least concat replace ltrim rtrim"
    " length left right reverse repeat lpad rpad ascii stddev stddev_pop stddev_samp variance var_pop var_samp"
    " current_timestamp current_date current_time localtime localtimestamp grouping substr instr translate"
)

FUNCTIONS: dict[str, frozenset[str]] = {
    "other": _COMMON,
    "postgresql": _SHARED
    | _names(
        "to_char to_date to_timestamp to_number age date_part date_trunc date_bin now clock_timestamp statement_timestamp"
        " transaction_timestamp timeofday make_date make_time make_timestamp make_timestamptz make_interval justify_days"
        " justify_hours justify_interval isfinite timezone string_agg array_agg array_to_string string_to_array array_length"
        " array_position array_positions array_remove array_append array_prepend array_cat array_upper array_lower cardinality"
        " unnest split_part strpos initcap btrim chr overlay format concat_ws quote_literal quote_ident quote_nullable"
        " regexp_replace regexp_matches regexp_match regexp_split_to_table regexp_split_to_array regexp_count regexp_instr"
        " regexp_substr regexp_like starts_with encode decode convert_from convert_to md5 sha256 sha512 sha224 sha384"
        " to_hex bit_length trim_scale min_scale scale trunc div width_bucket cbrt random gen_random_uuid bool_and bool_or every bit_and bit_or mode"
        " percentile_cont percentile_disc corr covar_pop covar_samp regr_slope regr_intercept regr_r2 regr_count"
        " json_agg jsonb_agg json_object_agg jsonb_object_agg json_build_object jsonb_build_object json_build_array"
        " jsonb_build_array to_json to_jsonb row_to_json array_to_json json_array_elements jsonb_array_elements"
        " json_array_elements_text jsonb_array_elements_text json_array_length jsonb_array_length json_each jsonb_each"
        " json_each_text jsonb_each_text json_extract_path json_extract_path_text jsonb_extract_path jsonb_extract_path_text"
        " json_object_keys jsonb_object_keys json_typeof jsonb_typeof jsonb_path_query jsonb_path_query_first jsonb_path_exists"
        " json_strip_nulls jsonb_strip_nulls jsonb_pretty jsonb_set json_to_recordset jsonb_to_recordset json_to_record"
        " jsonb_to_record generate_series generate_subscripts num_nonnulls num_nulls row array nvl ifnull"
        " xmlelement xmlagg xmlforest xmlconcat xmlserialize xpath xpath_exists xmltable substring_index hstore"
        " version current_database pg_typeof obj_description col_description date text int2 int4 int8"
        " lower_inf upper_inf isempty tsrange tstzrange daterange int4range int8range numrange"
    ),
    "mysql": _SHARED
    | _names(
        "if ifnull isnull concat_ws group_concat date_format str_to_date date_add date_sub adddate subdate addtime subtime"
        " datediff timediff timestampdiff timestampadd now curdate curtime sysdate utc_timestamp utc_date utc_time date time"
        " timestamp year month day hour minute second microsecond quarter week weekday weekofyear yearweek dayofweek"
        " dayofmonth dayofyear dayname monthname last_day makedate maketime from_days to_days to_seconds from_unixtime"
        " unix_timestamp sec_to_time time_to_sec time_format period_add period_diff convert_tz get_format lcase ucase mid"
        " locate field find_in_set elt make_set export_set substring_index strcmp space hex unhex bin oct conv"
        " char ord bit_count bit_length format truncate rand md5 sha sha1 sha2 crc32 to_base64 from_base64 quote soundex"
        " regexp_replace regexp_like regexp_substr regexp_instr json_extract json_unquote json_value json_query json_object"
        " json_array json_arrayagg json_objectagg json_contains json_contains_path json_keys json_length json_type json_valid"
        " json_search json_table json_quote json_depth json_exists json_compact json_detailed json_merge_patch json_set"
        " json_overlaps convert values bit_and bit_or bit_xor std any_value json_pretty uuid_to_bin bin_to_uuid inet_ntoa"
        " inet_aton database schema version user nvl nvl2 to_char chr add_months row weight_string interval nullif"
    ),
    "sqlite": _SHARED
    | _names(
        "ifnull iif total group_concat string_agg date time datetime julianday strftime unixepoch timediff printf format hex"
        " unhex quote unicode char glob like likely unlikely likelihood typeof concat_ws trunc json json_array json_object"
        " json_extract json_type json_valid json_each json_tree json_array_length json_group_array json_group_object json_quote"
        " json_patch json_set json_remove json_insert json_replace json_error_position jsonb jsonb_extract octet_length nvl"
        " soundex random log2 acosh asinh atanh cosh sinh tanh instr"
    ),
    "sqlserver": _SHARED
    | _names(
        "isnull iif choose convert try_convert try_cast parse try_parse getdate getutcdate sysdatetime sysutcdatetime"
        " sysdatetimeoffset dateadd datediff datediff_big datepart datename datefromparts datetimefromparts"
        " datetime2fromparts timefromparts smalldatetimefromparts eomonth isdate switchoffset todatetimeoffset date_bucket"
        " datetrunc year month day len datalength charindex patindex stuff replicate space str string_agg concat_ws"
        " string_split string_escape quotename format unicode nchar char soundex difference isnumeric square log10 rand"
        " stdev stdevp var varp checksum binary_checksum hashbytes newid json_value json_query isjson json_modify json_object"
        " json_array json_path_exists openjson approx_count_distinct percentile_cont percentile_disc grouping_id count_big"
        " trim isnull nullif atn2 ceiling object_id db_name suser_name sys.fn_varbintohexstr"
        " master.dbo.fn_varbintohexstr"
    ),
    "oracle": _SHARED
    | _names(
        "nvl nvl2 decode to_char to_date to_number to_timestamp to_timestamp_tz to_nchar to_clob to_nclob to_dsinterval"
        " to_yminterval to_binary_double to_single_byte to_multi_byte add_months months_between last_day next_day trunc sysdate"
        " systimestamp new_time from_tz sys_extract_utc numtodsinterval numtoyminterval tz_offset listagg wm_concat xmlagg"
        " xmlelement xmlforest xmlserialize xmltable xmlcast xmlquery initcap"
        " utl_raw.cast_to_varchar2 utl_raw.cast_to_nvarchar2 chr nchr lengthb lengthc substrb instrb"
        " regexp_replace regexp_like regexp_substr regexp_instr regexp_count rawtohex hextoraw rawtonhex"
        " sys_connect_by_path ratio_to_report median stats_mode percentile_cont percentile_disc corr covar_pop covar_samp"
        " regr_slope keep bitand remainder nanvl width_bucket cosh sinh tanh convert dump vsize ora_hash standard_hash"
        " json_value json_query json_object json_array json_arrayagg json_objectagg json_exists json_table sys_guid nls_upper"
        " nls_lower nls_initcap nlssort soundex unistr compose asciistr lnnvl coalesce cardinality collect group_id grouping_id"
        " dbms_lob.substr dbms_lob.getlength dbms_lob.instr date timestamp if ifnull isnull dateadd datediff datepart getdate"
        " now year month day len charindex stuff replicate space concat_ws group_concat approx_count_distinct"
    ),
}

# Words after which a bracket opens something that is no call.
SYNTAX = _names(
    "in any all some exists and or not from join on using as over when then else where having select distinct by union except"
    " intersect minus like between is values filter group lateral apply sets rollup cube materialized top limit offset fetch"
    " first next with recursive case end range rows prior start connect escape unpivot pivot for within only ilike similar"
    " regexp rlike glob div xor mod interval collate separator window nulls return"
)
SYNTAX_OF: dict[str, frozenset[str]] = {
    "other": frozenset(),
    "postgresql": _names("array ordinality tablesample system bernoulli to columns passing"),
    "mysql": _names("index key partition straight_join binary columns against match"),
    "sqlite": _names("indexed"),
    "sqlserver": _names("option path raw auto explicit root json xml percent index contained"),
    "oracle": _names("partition subpartition columns passing nocycle keep sample content evalname wrapper"),
}

TYPES = _names(
    "char character varchar varchar2 nvarchar nvarchar2 nchar text ntext clob nclob binary varbinary raw bit varbit decimal"
    " numeric number dec float double real int integer tinyint smallint mediumint bigint int2 int4 int8 money smallmoney date"
    " time timetz timestamp timestamptz datetime datetime2 smalldatetime datetimeoffset year interval second varying signed"
    " unsigned bpchar string enum set vector"
)

# Words that no engine of ours lets a function be called by; and on which engines others are that.
RESERVED = _names(
    "in all exists and or not from join on using as when then else where having select distinct by union except intersect like"
    " between is values case with lateral interval rollup cube"
)
RESERVED_ON: dict[str, frozenset[str]] = {
    "other": frozenset(),
    "postgresql": _names("array only"),
    "mysql": _names("binary match straight_join index key"),
    "sqlite": frozenset(),
    "sqlserver": _names("top index option root"),
    "oracle": _names("prior nocycle minus"),
}
COMPARING = _names("= < > <= >= <> != ~ like ilike to")  # before ANY (…)
BEFORE_EXPRESSIONS = _names(
    "select distinct all where and or not on when then else case by having from join like ilike between in is limit offset"
    " returning div mod xor regexp rlike glob any some values"
)

# Oracle's methods of an XML value: XMLAGG(…).EXTRACT('//text()').getClobVal()
ORACLE_XML_METHODS = _names("getclobval getstringval extract")

# SQL Server's methods of an XML value: (SELECT … FOR XML PATH(''), TYPE).value('.', 'nvarchar(max)').
XML_METHODS = frozenset({"value", "query", "nodes", "exist"})

# Bare words that no query of ours has, whatever a parser makes of them.
NEVER = _names(
    "into insert update delete drop alter create truncate grant revoke exec execute nextval currval lastval outfile dumpfile"
    " table shutdown attach detach pragma vacuum openrowset openquery opendatasource waitfor procedure analyse high_priority"
    " sql_calc_found_rows"
)
# SQL Server's statements need no semicolon between them: what a parser takes for an alias (`FROM t COMMIT`) is a statement.
_STATEMENTS = _names(
    "add backup begin break bulk checkpoint close commit compute continue dbcc deallocate declare deny disk dump exit goto if"
    " kill lineno load open openxml print proc raiserror readtext reconfigure replication restore return revert rollback save"
    " securityaudit set setuser statistics throw tran transaction trigger updatetext use while writetext receive send merge"
    " enable disable"
)
NEVER_OF: dict[str, frozenset[str]] = {
    "sqlserver": _STATEMENTS - {"merge"},  # LEFT MERGE JOIN
    "other": _STATEMENTS,
}

# Tables of passwords: no feed needs them.
SECRET_TABLES = _names(
    "pg_authid pg_shadow pg_user_mapping pg_user_mappings pg_hba_file_rules mysql.user mysql.global_priv mysql.db"
    " mysql.proxies_priv mysql.servers sql_logins syslogins sysxlogins linked_logins user$ link$ dba_users dba_db_links"
    " user_db_links all_db_links user_history$ defmeta$ mysql.slave_master_info mysql.password_history pg_subscription"
    " information_schema.user_mapping_options sys.credentials default_pwd$ dba_credentials user_credentials all_credentials"
)

TABLE_HINTS = _names("forceseek noexpand readcommitted readcommittedlock index")
ALL_HINTS = _names(
    "nolock readuncommitted updlock xlock tablock tablockx holdlock serializable repeatableread paglock rowlock readpast"
)
DIRTY_HINTS = _names("nolock readuncommitted")  # where the vendor imposes it: nolock = true

HINTS = _names(
    "index index_asc index_desc index_ss index_ffs index_rs index_rs_asc no_index full leading ordered use_nl use_hash use_merge"
    " no_use_nl no_use_hash swap_join_inputs first_rows all_rows rule choose merge no_merge push_pred no_push_pred push_subq"
    " no_push_subq unnest no_unnest materialize inline cardinality opt_estimate driving_site noparallel no_parallel no_expand"
    " use_concat nl_sj hash_sj qb_name"
)

# What a parser may make of a query. Names of sqlglot's classes.
NODES = _names(
    "Select Union Intersect Except Subquery With CTE TableAlias From Join Where Group Having Order Ordered Limit Offset Fetch"
    " LimitOptions Distinct Table Column Identifier Alias Aliases Star Literal Null Boolean Paren Tuple Placeholder Parameter"
    " And Or Not Xor EQ NEQ GT GTE LT LTE NullSafeEQ NullSafeNEQ Is In Between Like ILike SimilarTo Glob RegexpLike RegexpILike"
    " Exists All Any Add Sub Mul Div IntDiv Mod Neg BitwiseAnd BitwiseOr BitwiseXor BitwiseNot BitwiseLeftShift"
    " BitwiseRightShift DPipe Escape Collate Cast TryCast DataType DataTypeParam Interval IntervalSpan AtTimeZone Case If"
    " Window WindowSpec Filter WithinGroup IgnoreNulls RespectNulls Lateral Unnest Values Bracket Slice Array Dot Var National"
    " HexString BitString ByteString RawString Introducer CharacterSet Cube Rollup GroupingSets Pivot PivotAlias PivotAny"
    " Connect Prior ConnectByRoot Hint WithTableHint IndexTableHint TableSample OverflowTruncateBehavior QueryOption"
    " XMLKeyValueOption JSONPath JSONPathKey JSONPathRoot JSONPathSubscript JSONPathWildcard JSONPathRecursive JSONPathUnion"
    " JSONPathSelector JSONPathSlice JSONExtractQuote JSONKeyValue JSONColumnDef JSONSchema JSONValue FormatJson OnCondition"
    " OpenJSONColumnDef ColumnDef XMLNamespace Kwarg Partition Distance TranslateCharacters JoinHint PartitionedByProperty"
    " Pseudocolumn TableColumn Schema Lambda MatchAgainst ForClause HavingMax Overlaps PseudoType"
    " ColumnConstraint JSON Adjacent Variadic FromTimeZone PathColumnConstraint"
)

# Functions that a parser gives a class of their own and that may do more than compute.
NOT_FUNCTIONS = _names(
    "NextValueFor ReadCSV ReadParquet NetFunc Secret ToFile Search SearchIp Predict MLForecast MLTranslate AIAgg AIClassify"
    " AIEmbed AIForecast AIGenerate AISimilarity AISummarizeAgg VectorSearch FeaturesAtTime GenerateEmbedding GenerateTable"
    " GenerateText GenerateBool GenerateDouble GenerateInt DynamicIdentifier Transform Decrypt DecryptRaw Generator"
    " ObjectTransform Columns"
)

# Of what the number may be made that says how often a text is repeated.
AMOUNTS = _names(
    "Literal Column Identifier Add Sub Paren Length ByteLength OctetLength Greatest Least Coalesce Cast DataType Placeholder"
    " Parameter Case If Null Neg"
)
