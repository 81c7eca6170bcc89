using Dbt.Translator.Emit.Routines;
using Dbt.Translator.Interpretation.Operations;
using Iced.Intel;

namespace Dbt.Translator.Instructions;

// Flags.
internal static unsafe partial class InstructionTable
{
    private static InstructionRow[] FlagRows() =>
    [
        new(Mnemonic.Pushf, "PUSHF/PUSHFD", TestClass.Flag, &FlagOperations.Pushf),
        new(Mnemonic.Pushfd, "PUSHF/PUSHFD", TestClass.Flag, &FlagOperations.Pushf, emit: EmitStack.Pushfd),
        new(Mnemonic.Popf, "POPF/POPFD", TestClass.Flag, &FlagOperations.Popf, traits: RowTraits.EndsBlock),
        new(Mnemonic.Popfd, "POPF/POPFD", TestClass.Flag, &FlagOperations.Popf, emit: EmitSystem.Popfd, traits: RowTraits.EndsBlock),
        new(Mnemonic.Lahf, "LAHF", TestClass.Flag, &FlagOperations.Lahf, emit: EmitBits.Lahf),
        new(Mnemonic.Sahf, "SAHF", TestClass.Flag, &FlagOperations.Sahf, emit: EmitBits.Sahf),
        new(Mnemonic.Clc, "CLC", TestClass.Flag, &FlagOperations.Clc, emit: EmitBits.Clc),
        new(Mnemonic.Stc, "STC", TestClass.Flag, &FlagOperations.Stc, emit: EmitBits.Stc),
        new(Mnemonic.Cmc, "CMC", TestClass.Flag, &FlagOperations.Cmc, emit: EmitBits.Cmc),
        new(Mnemonic.Cld, "CLD", TestClass.Flag, &FlagOperations.Cld, emit: EmitBits.Cld),
        new(Mnemonic.Std, "STD", TestClass.Flag, &FlagOperations.Std, emit: EmitBits.Std),
        new(Mnemonic.Salc, "SALC (AMD64 vol. 3, appendix A)", TestClass.Flag, &FlagOperations.Salc),
        new(Mnemonic.Cli, "CLI", TestClass.System, &FlagOperations.Cli, emit: EmitSystem.Cli, traits: RowTraits.EndsBlock),
        new(Mnemonic.Sti, "STI", TestClass.System, &FlagOperations.Sti, emit: EmitSystem.Sti, traits: RowTraits.EndsBlock),
    ];
}
