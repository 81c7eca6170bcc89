using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Instructions;

// Bitwise logic.
internal static unsafe partial class InstructionTable
{
    private static InstructionRow[] LogicRows() =>
    [
        new(Mnemonic.And, "AND", TestClass.Alu, &BinaryOperations.Execute<AndOperation>, undefinedFlags: Flags.Af),
        new(Mnemonic.Or, "OR", TestClass.Alu, &BinaryOperations.Execute<OrOperation>, undefinedFlags: Flags.Af),
        new(Mnemonic.Xor, "XOR", TestClass.Alu, &BinaryOperations.Execute<XorOperation>, undefinedFlags: Flags.Af),
        new(Mnemonic.Test, "TEST", TestClass.Alu, &BinaryOperations.Execute<TestOperation>, undefinedFlags: Flags.Af),
        new(Mnemonic.Not, "NOT", TestClass.Alu, &UnaryOperations.Execute<NotOperation>),
    ];
}
