using Dbt.Translator.Emit.Routines;
using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.Interpretation.Threaded;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Instructions;

// Addition, subtraction, multiplication, division, decimal adjustment.
internal static unsafe partial class InstructionTable
{
    private static InstructionRow[] ArithmeticRows() =>
    [
        new(Mnemonic.Add, "ADD", TestClass.Alu, &BinaryOperations.Execute<AddOperation>, emit: EmitArithmetic.Add, threaded: &AluOps.Pick<AddOperation>),
        new(Mnemonic.Adc, "ADC", TestClass.Alu, &BinaryOperations.Execute<AdcOperation>, emit: EmitArithmetic.Adc, threaded: &AluOps.Pick<AdcOperation>),
        new(Mnemonic.Sub, "SUB", TestClass.Alu, &BinaryOperations.Execute<SubOperation>, emit: EmitArithmetic.Sub, threaded: &AluOps.Pick<SubOperation>),
        new(Mnemonic.Sbb, "SBB", TestClass.Alu, &BinaryOperations.Execute<SbbOperation>, emit: EmitArithmetic.Sbb, threaded: &AluOps.Pick<SbbOperation>),
        new(Mnemonic.Cmp, "CMP", TestClass.Alu, &BinaryOperations.Execute<CmpOperation>, emit: EmitArithmetic.Cmp, threaded: &AluOps.Pick<CmpOperation>),
        new(Mnemonic.Inc, "INC", TestClass.Alu, &UnaryOperations.Execute<IncOperation>, emit: EmitArithmetic.Inc, threaded: &UnaryOps.Pick<IncOperation>),
        new(Mnemonic.Dec, "DEC", TestClass.Alu, &UnaryOperations.Execute<DecOperation>, emit: EmitArithmetic.Dec, threaded: &UnaryOps.Pick<DecOperation>),
        new(Mnemonic.Neg, "NEG", TestClass.Alu, &UnaryOperations.Execute<NegOperation>, emit: EmitArithmetic.Neg, threaded: &UnaryOps.Pick<NegOperation>),
        new(Mnemonic.Mul, "MUL", TestClass.Alu, &MultiplyOperations.Mul, emit: EmitMultiply.Mul, undefinedFlags: Flags.Sf | Flags.Zf | Flags.Af | Flags.Pf),
        new(Mnemonic.Imul, "IMUL", TestClass.Alu, &MultiplyOperations.Imul, emit: EmitMultiply.Imul, undefinedFlags: Flags.Sf | Flags.Zf | Flags.Af | Flags.Pf, threaded: &MultiplyOps.PickImul),
        new(Mnemonic.Div, "DIV", TestClass.Divide, &MultiplyOperations.Div, emit: EmitMultiply.Div, undefinedFlags: Flags.Status),
        new(Mnemonic.Idiv, "IDIV", TestClass.Divide, &MultiplyOperations.Idiv, emit: EmitMultiply.Idiv, undefinedFlags: Flags.Status),
        new(Mnemonic.Daa, "DAA", TestClass.Alu, &DecimalOperations.Daa, undefinedFlags: Flags.Of),
        new(Mnemonic.Das, "DAS", TestClass.Alu, &DecimalOperations.Das, undefinedFlags: Flags.Of),
        new(Mnemonic.Aaa, "AAA", TestClass.Alu, &DecimalOperations.Aaa, undefinedFlags: Flags.Of | Flags.Sf | Flags.Zf | Flags.Pf),
        new(Mnemonic.Aas, "AAS", TestClass.Alu, &DecimalOperations.Aas, undefinedFlags: Flags.Of | Flags.Sf | Flags.Zf | Flags.Pf),
        new(Mnemonic.Aam, "AAM", TestClass.Divide, &DecimalOperations.Aam, undefinedFlags: Flags.Of | Flags.Af | Flags.Cf),
        new(Mnemonic.Aad, "AAD", TestClass.Alu, &DecimalOperations.Aad, undefinedFlags: Flags.Of | Flags.Af | Flags.Cf),
        new(Mnemonic.Cbw, "CBW/CWDE", TestClass.Alu, &DecimalOperations.Cbw, emit: EmitMoves.Cbw),
        new(Mnemonic.Cwde, "CBW/CWDE", TestClass.Alu, &DecimalOperations.Cwde, emit: EmitMoves.Cwde),
        new(Mnemonic.Cwd, "CWD/CDQ", TestClass.Alu, &DecimalOperations.Cwd, emit: EmitMoves.Cwd),
        new(Mnemonic.Cdq, "CWD/CDQ", TestClass.Alu, &DecimalOperations.Cdq, emit: EmitMoves.Cdq),
    ];
}
