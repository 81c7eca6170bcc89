using Iced.Intel;

namespace Dbt.Translator.Instructions;

internal static unsafe partial class InstructionTable
{
    private static InstructionRow[] ArithmeticRows() =>
    [
        new(Mnemonic.Add, "ADD", TestClass.Alu, null),
    ];
}
