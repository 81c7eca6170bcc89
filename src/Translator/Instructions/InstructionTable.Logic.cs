using Dbt.Translator.Emit.Routines;
using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.Interpretation.Threaded;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Instructions;

// Bitwise logic.
internal static unsafe partial class InstructionTable
{
    private static InstructionRow[] LogicRows() =>
    [
        new(Mnemonic.And, "AND", TestClass.Alu, &BinaryOperations.Execute<AndOperation>, emit: EmitArithmetic.And, undefinedFlags: Flags.Af, threaded: &AluOps.Pick<AndOperation>),
        new(Mnemonic.Or, "OR", TestClass.Alu, &BinaryOperations.Execute<OrOperation>, emit: EmitArithmetic.Or, undefinedFlags: Flags.Af, threaded: &AluOps.Pick<OrOperation>),
        new(Mnemonic.Xor, "XOR", TestClass.Alu, &BinaryOperations.Execute<XorOperation>, emit: EmitArithmetic.Xor, undefinedFlags: Flags.Af, threaded: &AluOps.Pick<XorOperation>),
        new(Mnemonic.Test, "TEST", TestClass.Alu, &BinaryOperations.Execute<TestOperation>, emit: EmitArithmetic.Test, undefinedFlags: Flags.Af, threaded: &AluOps.Pick<TestOperation>),
        new(Mnemonic.Not, "NOT", TestClass.Alu, &UnaryOperations.Execute<NotOperation>, emit: EmitArithmetic.Not, threaded: &UnaryOps.Pick<NotOperation>),
    ];
}
