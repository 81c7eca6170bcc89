using System.Runtime.CompilerServices;
using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>IMUL of 32 bits with two or three operands, between registers.</summary>
internal static unsafe class MultiplyOps
{
    /// <summary>The routine of an IMUL.</summary>
    public static ThreadedRoutine PickImul(in DecodedInstruction d) =>
        d.Size != 4 || d.Kind1 != OperandKind.Register ? null
        : d.Kind2 == OperandKind.Immediate ? &Immediate
        : &Register;

    [MethodImpl(Chain.Hot)]
    private static int Register(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        int* first = (int*)Addresses.At(cpu, op->Register0);
        Multiply(cpu, first, *first, *(int*)Addresses.At(cpu, op->Register1));
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int Immediate(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        Multiply(cpu, (int*)Addresses.At(cpu, op->Register0), *(int*)Addresses.At(cpu, op->Register1), (int)op->Immediate);
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Multiply(CpuState* cpu, int* result, int a, int b)
    {
        long product = (long)a * b;
        *result = (int)product;
        MultiplyOperations.SetOverflow(cpu, product != (int)product);
    }
}
