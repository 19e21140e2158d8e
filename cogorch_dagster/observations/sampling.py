"""Which successes are kept: the same ones however often and in whatever batches they arrive.

Only first-attempt successes are sampled. Failures, time-outs, later attempts and everything unfinished are all kept,
so that rare trouble is never lost; the weight of what is kept makes the statistics unbiased.
"""

import pyarrow as pa
import pyarrow.compute as pc

_HEX_DIGITS = 13


def sample(table: pa.Table, rate: float) -> pa.Table:
    """The rows that are kept at a rate in (0, 1], the weight of sampled ones multiplied by 1 / rate.

    A row's fate depends on its source and source_id alone, and what is kept at a rate is kept at every higher one.
    """
    if rate >= 1 or table.num_rows == 0:
        return table
    sampled = pc.and_(
        pc.equal(table["outcome"], "success"),
        pc.less_equal(pc.fill_null(table["attempt"], pa.scalar(1, pa.int16())), 1),
    )
    keep = pc.or_(pc.invert(sampled), pc.less(_hashes(table), f"{int(rate * 16**_HEX_DIGITS):0{_HEX_DIGITS}x}"))
    weights = pc.if_else(sampled, pc.divide(table["sample_weight"], rate), table["sample_weight"])
    column = table.schema.get_field_index("sample_weight")
    return table.set_column(column, table.schema.field(column), weights).filter(keep)


def _hashes(table: pa.Table) -> pa.ChunkedArray:
    """52 uniform bits of each row's key as hexadecimal text; md5 because every DuckDB will compute the same."""
    import duckdb

    keys = table.select(["source", "source_id"]).append_column("row", pa.array(range(table.num_rows)))
    with duckdb.connect() as duck:
        duck.register("keys", keys)
        rows = duck.sql(
            f"SELECT substr(md5(source || chr(31) || source_id), 1, {_HEX_DIGITS}) AS hash FROM keys ORDER BY row"  # noqa: S608
        ).to_arrow_table()
    return rows["hash"].cast(pa.string())
