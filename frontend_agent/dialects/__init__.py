"""What foreign platforms want to hear, made of a document that was opened again. Pure: values in, values out.

    values         one value of an opened document, named by a setting: field, data element, constant, attribute
    data_sets      the data sets of a record, by a table from kinds and fields to a platform's elements
    packages       all of a visit as the files of one package
    shared_tables  the rows of a document in a shared front-end table, and the statements that put them there
    xds            a document's metadata and the messages of ITI-41 and ITI-18

The edges in `connectors/outlets/` send what is made here; they know no field.
"""
