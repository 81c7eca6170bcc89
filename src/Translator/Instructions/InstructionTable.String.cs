using Dbt.Translator.Emit.Routines;
using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.Interpretation.Threaded;
using Iced.Intel;

namespace Dbt.Translator.Instructions;

// String instructions.
internal static unsafe partial class InstructionTable
{
    private static InstructionRow[] StringRows() =>
    [
        new(Mnemonic.Movsb, "MOVS and REP", TestClass.String, &StringOperations.Movs, emit: EmitStrings.Movs, traits: RowTraits.SetsEip, threaded: &StringOps.PickMovs),
        new(Mnemonic.Movsw, "MOVS and REP", TestClass.String, &StringOperations.Movs, emit: EmitStrings.Movs, traits: RowTraits.SetsEip, threaded: &StringOps.PickMovs),
        new(Mnemonic.Movsd, "MOVS and REP", TestClass.String, &StringOperations.Movs, emit: EmitStrings.Movs, traits: RowTraits.SetsEip, threaded: &StringOps.PickMovs),
        new(Mnemonic.Cmpsb, "CMPS and REP", TestClass.String, &StringOperations.Cmps, emit: EmitStrings.Cmps, traits: RowTraits.SetsEip),
        new(Mnemonic.Cmpsw, "CMPS and REP", TestClass.String, &StringOperations.Cmps, emit: EmitStrings.Cmps, traits: RowTraits.SetsEip),
        new(Mnemonic.Cmpsd, "CMPS and REP", TestClass.String, &StringOperations.Cmps, emit: EmitStrings.Cmps, traits: RowTraits.SetsEip),
        new(Mnemonic.Stosb, "STOS and REP", TestClass.String, &StringOperations.Stos, emit: EmitStrings.Stos, traits: RowTraits.SetsEip, threaded: &StringOps.PickStos),
        new(Mnemonic.Stosw, "STOS and REP", TestClass.String, &StringOperations.Stos, emit: EmitStrings.Stos, traits: RowTraits.SetsEip, threaded: &StringOps.PickStos),
        new(Mnemonic.Stosd, "STOS and REP", TestClass.String, &StringOperations.Stos, emit: EmitStrings.Stos, traits: RowTraits.SetsEip, threaded: &StringOps.PickStos),
        new(Mnemonic.Lodsb, "LODS and REP", TestClass.String, &StringOperations.Lods, emit: EmitStrings.Lods, traits: RowTraits.SetsEip, threaded: &StringOps.PickLods),
        new(Mnemonic.Lodsw, "LODS and REP", TestClass.String, &StringOperations.Lods, emit: EmitStrings.Lods, traits: RowTraits.SetsEip, threaded: &StringOps.PickLods),
        new(Mnemonic.Lodsd, "LODS and REP", TestClass.String, &StringOperations.Lods, emit: EmitStrings.Lods, traits: RowTraits.SetsEip, threaded: &StringOps.PickLods),
        new(Mnemonic.Scasb, "SCAS and REP", TestClass.String, &StringOperations.Scas, emit: EmitStrings.Scas, traits: RowTraits.SetsEip, threaded: &StringOps.PickScas),
        new(Mnemonic.Scasw, "SCAS and REP", TestClass.String, &StringOperations.Scas, emit: EmitStrings.Scas, traits: RowTraits.SetsEip, threaded: &StringOps.PickScas),
        new(Mnemonic.Scasd, "SCAS and REP", TestClass.String, &StringOperations.Scas, emit: EmitStrings.Scas, traits: RowTraits.SetsEip, threaded: &StringOps.PickScas),
    ];
}
