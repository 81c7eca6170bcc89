using Dbt.Translator.Emit.Routines;
using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Instructions;

// Bitwise logic.
internal static unsafe partial class InstructionTable
{
    private static InstructionRow[] LogicRows() =>
    [
        new(Mnemonic.And, "AND", TestClass.Alu, &BinaryOperations.Execute<AndOperation>, emit: EmitArithmetic.And, undefinedFlags: Flags.Af),
        new(Mnemonic.Or, "OR", TestClass.Alu, &BinaryOperations.Execute<OrOperation>, emit: EmitArithmetic.Or, undefinedFlags: Flags.Af),
        new(Mnemonic.Xor, "XOR", TestClass.Alu, &BinaryOperations.Execute<XorOperation>, emit: EmitArithmetic.Xor, undefinedFlags: Flags.Af),
        new(Mnemonic.Test, "TEST", TestClass.Alu, &BinaryOperations.Execute<TestOperation>, emit: EmitArithmetic.Test, undefinedFlags: Flags.Af),
        new(Mnemonic.Not, "NOT", TestClass.Alu, &UnaryOperations.Execute<NotOperation>, emit: EmitArithmetic.Not),
    ];
}
