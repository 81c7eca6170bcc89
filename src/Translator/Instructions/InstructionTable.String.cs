using Dbt.Translator.Emit.Routines;
using Dbt.Translator.Interpretation.Operations;
using Iced.Intel;

namespace Dbt.Translator.Instructions;

// String instructions.
internal static unsafe partial class InstructionTable
{
    private static InstructionRow[] StringRows() =>
    [
        new(Mnemonic.Movsb, "MOVS and REP", TestClass.String, &StringOperations.Movs, emit: EmitStrings.Movs, traits: RowTraits.SetsEip),
        new(Mnemonic.Movsw, "MOVS and REP", TestClass.String, &StringOperations.Movs, emit: EmitStrings.Movs, traits: RowTraits.SetsEip),
        new(Mnemonic.Movsd, "MOVS and REP", TestClass.String, &StringOperations.Movs, emit: EmitStrings.Movs, traits: RowTraits.SetsEip),
        new(Mnemonic.Cmpsb, "CMPS and REP", TestClass.String, &StringOperations.Cmps, emit: EmitStrings.Cmps, traits: RowTraits.SetsEip),
        new(Mnemonic.Cmpsw, "CMPS and REP", TestClass.String, &StringOperations.Cmps, emit: EmitStrings.Cmps, traits: RowTraits.SetsEip),
        new(Mnemonic.Cmpsd, "CMPS and REP", TestClass.String, &StringOperations.Cmps, emit: EmitStrings.Cmps, traits: RowTraits.SetsEip),
        new(Mnemonic.Stosb, "STOS and REP", TestClass.String, &StringOperations.Stos, emit: EmitStrings.Stos, traits: RowTraits.SetsEip),
        new(Mnemonic.Stosw, "STOS and REP", TestClass.String, &StringOperations.Stos, emit: EmitStrings.Stos, traits: RowTraits.SetsEip),
        new(Mnemonic.Stosd, "STOS and REP", TestClass.String, &StringOperations.Stos, emit: EmitStrings.Stos, traits: RowTraits.SetsEip),
        new(Mnemonic.Lodsb, "LODS and REP", TestClass.String, &StringOperations.Lods, emit: EmitStrings.Lods, traits: RowTraits.SetsEip),
        new(Mnemonic.Lodsw, "LODS and REP", TestClass.String, &StringOperations.Lods, emit: EmitStrings.Lods, traits: RowTraits.SetsEip),
        new(Mnemonic.Lodsd, "LODS and REP", TestClass.String, &StringOperations.Lods, emit: EmitStrings.Lods, traits: RowTraits.SetsEip),
        new(Mnemonic.Scasb, "SCAS and REP", TestClass.String, &StringOperations.Scas, emit: EmitStrings.Scas, traits: RowTraits.SetsEip),
        new(Mnemonic.Scasw, "SCAS and REP", TestClass.String, &StringOperations.Scas, emit: EmitStrings.Scas, traits: RowTraits.SetsEip),
        new(Mnemonic.Scasd, "SCAS and REP", TestClass.String, &StringOperations.Scas, emit: EmitStrings.Scas, traits: RowTraits.SetsEip),
    ];
}
