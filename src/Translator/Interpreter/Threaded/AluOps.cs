using System.Runtime.CompilerServices;
using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>ADD, ADC, SUB, SBB, CMP, AND, OR, XOR, TEST, one routine for each form of operands.</summary>
internal static unsafe class AluOps
{
    /// <summary>The routine for an instruction's operands; null where the general one is to run.</summary>
    public static ThreadedRoutine Pick<TOperation>(in DecodedInstruction d)
        where TOperation : struct, IBinary => d.Size switch
        {
            4 => PickWidth<TOperation, Byte4>(in d),
            1 => PickWidth<TOperation, Byte1>(in d),
            _ => PickWidth<TOperation, Byte2>(in d),
        };

    private static ThreadedRoutine PickWidth<TOperation, TWidth>(in DecodedInstruction d)
        where TOperation : struct, IBinary
        where TWidth : struct, IWidth
    {
        switch (d.Kind0, d.Kind1)
        {
            case (OperandKind.Register, OperandKind.Register):
                return &RegisterRegister<TOperation, TWidth>;
            case (OperandKind.Register, OperandKind.Immediate):
                return &RegisterImmediate<TOperation, TWidth>;
        }

        if ((d.Flags & (DecodedFlags.Direct | DecodedFlags.Lock)) != DecodedFlags.Direct)
        {
            return null;
        }

        bool full = (d.Flags & DecodedFlags.FullAddress) != 0;
        switch (d.Kind0, d.Kind1)
        {
            case (OperandKind.Register, OperandKind.Memory):
                return full ? &RegisterMemory<TOperation, TWidth, FullAddress> : &RegisterMemory<TOperation, TWidth, BaseAddress>;
            case (OperandKind.Memory, OperandKind.Register):
                return full ? &MemoryRegister<TOperation, TWidth, FullAddress> : &MemoryRegister<TOperation, TWidth, BaseAddress>;
            case (OperandKind.Memory, OperandKind.Immediate):
                return full ? &MemoryImmediate<TOperation, TWidth, FullAddress> : &MemoryImmediate<TOperation, TWidth, BaseAddress>;
            default:
                return null;
        }
    }

    [MethodImpl(Chain.Hot)]
    private static int RegisterRegister<TOperation, TWidth>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TOperation : struct, IBinary
        where TWidth : struct, IWidth
    {
        Apply<TOperation, TWidth>(cpu, Addresses.At(cpu, op->Register0), Interpreter.Load(Addresses.At(cpu, op->Register1), TWidth.Size));
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int RegisterImmediate<TOperation, TWidth>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TOperation : struct, IBinary
        where TWidth : struct, IWidth
    {
        Apply<TOperation, TWidth>(cpu, Addresses.At(cpu, op->Register0), op->Immediate);
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int RegisterMemory<TOperation, TWidth, TAddress>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TOperation : struct, IBinary
        where TWidth : struct, IWidth
        where TAddress : struct, IAddress
    {
        uint linear = Addresses.Linear<TAddress>(cpu, op);
        long entry = Addresses.Entry(cpu, linear, MemoryAccess.Read);
        if (Addresses.IsSlow<TAddress, TWidth>(cpu, op, linear, entry))
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        byte* memory = (byte*)(entry + linear);
        Apply<TOperation, TWidth>(cpu, Addresses.At(cpu, op->Register0), Interpreter.Load(memory, TWidth.Size));
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int MemoryRegister<TOperation, TWidth, TAddress>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TOperation : struct, IBinary
        where TWidth : struct, IWidth
        where TAddress : struct, IAddress
    {
        uint linear = Addresses.Linear<TAddress>(cpu, op);
        long entry = Addresses.Entry(cpu, linear, TOperation.Writes ? MemoryAccess.Write : MemoryAccess.Read);
        if (Addresses.IsSlow<TAddress, TWidth>(cpu, op, linear, entry))
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        byte* memory = (byte*)(entry + linear);
        Apply<TOperation, TWidth>(cpu, memory, Interpreter.Load(Addresses.At(cpu, op->Register1), TWidth.Size));
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int MemoryImmediate<TOperation, TWidth, TAddress>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TOperation : struct, IBinary
        where TWidth : struct, IWidth
        where TAddress : struct, IAddress
    {
        uint linear = Addresses.Linear<TAddress>(cpu, op);
        long entry = Addresses.Entry(cpu, linear, TOperation.Writes ? MemoryAccess.Write : MemoryAccess.Read);
        if (Addresses.IsSlow<TAddress, TWidth>(cpu, op, linear, entry))
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        byte* memory = (byte*)(entry + linear);
        Apply<TOperation, TWidth>(cpu, memory, op->Immediate);
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Apply<TOperation, TWidth>(CpuState* cpu, byte* first, uint b)
        where TOperation : struct, IBinary
        where TWidth : struct, IWidth
    {
        uint carry = TOperation.UsesCarry ? LazyFlags.Carry(cpu) : 0;
        uint a = Interpreter.Load(first, TWidth.Size);
        uint result = TOperation.Compute(a, b, carry) & Interpreter.Mask(TWidth.Size);
        if (TOperation.Writes)
        {
            Interpreter.Store(first, TWidth.Size, result);
        }

        TOperation.SetFlags(cpu, TWidth.Size, a, b, result, carry);
    }
}
