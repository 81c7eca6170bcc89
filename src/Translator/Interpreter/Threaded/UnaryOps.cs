using System.Runtime.CompilerServices;
using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>INC, DEC, NEG, NOT, and shifts by an immediate, of 32 bits.</summary>
internal static unsafe class UnaryOps
{
    /// <summary>The routine of an operation of one operand.</summary>
    public static ThreadedRoutine Pick<TOperation>(in DecodedInstruction d)
        where TOperation : struct, IUnary
    {
        if (d.Size != 4)
        {
            return null;
        }

        if (d.Kind0 == OperandKind.Register)
        {
            return &Register<TOperation>;
        }

        return (d.Flags & (DecodedFlags.Direct | DecodedFlags.Lock)) != DecodedFlags.Direct ? null
            : (d.Flags & DecodedFlags.FullAddress) != 0 ? &Memory<TOperation, FullAddress>
            : &Memory<TOperation, BaseAddress>;
    }

    /// <summary>The routine of a shift that sets all flags.</summary>
    public static ThreadedRoutine PickShift<TShift>(in DecodedInstruction d)
        where TShift : struct, IShift =>
        d.Size != 4 || d.Kind0 != OperandKind.Register ? null
        : d.Kind1 != OperandKind.Immediate ? &ShiftByCl<TShift>
        : (d.Immediate & 31) != 0 ? &Shift<TShift>
        : null;

    /// <summary>The routine of a rotate by an immediate, which leaves all flags but CF and OF.</summary>
    public static ThreadedRoutine PickRotate<TShift>(in DecodedInstruction d)
        where TShift : struct, IShift =>
        d.Size == 4 && d.Kind0 == OperandKind.Register && d.Kind1 == OperandKind.Immediate && (d.Immediate & 31) != 0 ? &Rotate<TShift> : null;

    [MethodImpl(Chain.Hot)]
    private static int Register<TOperation>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TOperation : struct, IUnary
    {
        Apply<TOperation>(cpu, Addresses.At(cpu, op->Register0));
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int Memory<TOperation, TAddress>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TOperation : struct, IUnary
        where TAddress : struct, IAddress
    {
        uint linear = Addresses.Linear<TAddress>(cpu, op);
        long entry = Addresses.Entry(cpu, linear, MemoryAccess.Write);
        if (Addresses.IsSlow<TAddress, Byte4>(cpu, op, linear, entry))
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        byte* memory = (byte*)(entry + linear);
        Apply<TOperation>(cpu, memory);
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int Shift<TShift>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TShift : struct, IShift
    {
        Shift<TShift>(cpu, Addresses.At(cpu, op->Register0), (int)op->Immediate & 31);
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int ShiftByCl<TShift>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TShift : struct, IShift
    {
        int count = (int)cpu->Gpr[(int)Gpr.Ecx] & 31;
        if (count != 0)
        {
            Shift<TShift>(cpu, Addresses.At(cpu, op->Register0), count);
        }

        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int Rotate<TShift>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TShift : struct, IShift
    {
        bool carry = false;
        uint* operand = (uint*)Addresses.At(cpu, op->Register0);
        *operand = TShift.Compute(*operand, (int)op->Immediate & 31, 32, ref carry, out bool overflow);
        LazyFlags.SetStatus(cpu, (LazyFlags.Status(cpu) & ~(Flags.Cf | Flags.Of)) | (carry ? Flags.Cf : 0) | (overflow ? Flags.Of : 0));
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Apply<TOperation>(CpuState* cpu, byte* operand)
        where TOperation : struct, IUnary
    {
        uint a = Interpreter.Load(operand, 4);
        uint result = TOperation.Compute(a);
        Interpreter.Store(operand, 4, result);
        TOperation.SetFlags(cpu, 4, a, result);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Shift<TShift>(CpuState* cpu, byte* operand, int count)
        where TShift : struct, IShift
    {
        bool carry = false;
        uint result = TShift.Compute(Interpreter.Load(operand, 4), count, 32, ref carry, out bool overflow);
        Interpreter.Store(operand, 4, result);

        // AF is undefined after a shift; Zen sets it.
        LazyFlags.SetStatus(cpu, LazyFlags.ZeroSignParity(result, 4) | Flags.Af | (carry ? Flags.Cf : 0) | (overflow ? Flags.Of : 0));
    }
}
