using System.Runtime.CompilerServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>MOV, MOVZX, MOVSX, LEA, and instructions that do nothing.</summary>
internal static unsafe class MoveOps
{
    /// <summary>The routine of a MOV.</summary>
    public static ThreadedRoutine PickMov(in DecodedInstruction d) => d.Size switch
    {
        4 => PickMov<Byte4>(in d),
        1 => PickMov<Byte1>(in d),
        _ => PickMov<Byte2>(in d),
    };

    /// <summary>The routine of a MOVZX to 32 bits.</summary>
    public static ThreadedRoutine PickMovzx(in DecodedInstruction d) => PickExtend<Unsigned>(in d);

    /// <summary>The routine of a MOVSX to 32 bits.</summary>
    public static ThreadedRoutine PickMovsx(in DecodedInstruction d) => PickExtend<Signed>(in d);

    /// <summary>The routine of a LEA of 32 bits.</summary>
    public static ThreadedRoutine PickLea(in DecodedInstruction d) =>
        d.Size != 4 || (d.Flags & DecodedFlags.Address16) != 0 ? null
        : d.Index == DecodedInstruction.NoRegister ? &Lea<BaseAddress> : &Lea<FullAddress>;

    /// <summary>The routine of a NOP.</summary>
    public static ThreadedRoutine PickNop(in DecodedInstruction d) => &Nop;

    private static ThreadedRoutine PickMov<TWidth>(in DecodedInstruction d)
        where TWidth : struct, IWidth
    {
        switch (d.Kind0, d.Kind1)
        {
            case (OperandKind.Register, OperandKind.Register):
                return &RegisterRegister<TWidth>;
            case (OperandKind.Register, OperandKind.Immediate):
                return &RegisterImmediate<TWidth>;
        }

        if ((d.Flags & DecodedFlags.Direct) == 0)
        {
            return null;
        }

        bool full = (d.Flags & DecodedFlags.FullAddress) != 0;
        switch (d.Kind0, d.Kind1)
        {
            case (OperandKind.Register, OperandKind.Memory):
                return full ? &Load<TWidth, FullAddress> : &Load<TWidth, BaseAddress>;
            case (OperandKind.Memory, OperandKind.Register):
                return full ? &Store<TWidth, FullAddress> : &Store<TWidth, BaseAddress>;
            case (OperandKind.Memory, OperandKind.Immediate):
                return full ? &StoreImmediate<TWidth, FullAddress> : &StoreImmediate<TWidth, BaseAddress>;
            default:
                return null;
        }
    }

    private static ThreadedRoutine PickExtend<TSign>(in DecodedInstruction d)
        where TSign : struct, ISign
    {
        if (d.Size != 4)
        {
            return null;
        }

        if (d.Kind1 == OperandKind.Register)
        {
            return d.SourceSize == 1 ? &ExtendRegister<TSign, Byte1> : &ExtendRegister<TSign, Byte2>;
        }

        if ((d.Flags & DecodedFlags.Direct) == 0)
        {
            return null;
        }

        return (d.Flags & DecodedFlags.FullAddress) != 0
            ? d.SourceSize == 1 ? &ExtendMemory<TSign, Byte1, FullAddress> : &ExtendMemory<TSign, Byte2, FullAddress>
            : d.SourceSize == 1 ? &ExtendMemory<TSign, Byte1, BaseAddress> : &ExtendMemory<TSign, Byte2, BaseAddress>;
    }

    [MethodImpl(Chain.Hot)]
    private static int RegisterRegister<TWidth>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TWidth : struct, IWidth
    {
        Interpreter.Store(Addresses.At(cpu, op->Register0), TWidth.Size, Interpreter.Load(Addresses.At(cpu, op->Register1), TWidth.Size));
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int RegisterImmediate<TWidth>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TWidth : struct, IWidth
    {
        Interpreter.Store(Addresses.At(cpu, op->Register0), TWidth.Size, op->Immediate);
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int Load<TWidth, TAddress>(Interpreter interpreter, CpuState* cpu, Op* op)
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
        Interpreter.Store(Addresses.At(cpu, op->Register0), TWidth.Size, Interpreter.Load(memory, TWidth.Size));
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int Store<TWidth, TAddress>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TWidth : struct, IWidth
        where TAddress : struct, IAddress
    {
        uint linear = Addresses.Linear<TAddress>(cpu, op);
        long entry = Addresses.Entry(cpu, linear, MemoryAccess.Write);
        if (Addresses.IsSlow<TAddress, TWidth>(cpu, op, linear, entry))
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        byte* memory = (byte*)(entry + linear);
        Interpreter.Store(memory, TWidth.Size, Interpreter.Load(Addresses.At(cpu, op->Register1), TWidth.Size));
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int StoreImmediate<TWidth, TAddress>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TWidth : struct, IWidth
        where TAddress : struct, IAddress
    {
        uint linear = Addresses.Linear<TAddress>(cpu, op);
        long entry = Addresses.Entry(cpu, linear, MemoryAccess.Write);
        if (Addresses.IsSlow<TAddress, TWidth>(cpu, op, linear, entry))
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        byte* memory = (byte*)(entry + linear);
        Interpreter.Store(memory, TWidth.Size, op->Immediate);
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int ExtendRegister<TSign, TWidth>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TSign : struct, ISign
        where TWidth : struct, IWidth
    {
        uint value = Interpreter.Load(Addresses.At(cpu, op->Register1), TWidth.Size);
        *(uint*)Addresses.At(cpu, op->Register0) = TSign.Extend(value, TWidth.Size);
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int ExtendMemory<TSign, TWidth, TAddress>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TSign : struct, ISign
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
        *(uint*)Addresses.At(cpu, op->Register0) = TSign.Extend(Interpreter.Load(memory, TWidth.Size), TWidth.Size);
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int Lea<TAddress>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TAddress : struct, IAddress
    {
        *(uint*)Addresses.At(cpu, op->Register0) = TAddress.Offset(cpu, op);
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int Nop(Interpreter interpreter, CpuState* cpu, Op* op) => Chain.Next(interpreter, cpu, op);

    private interface ISign
    {
        static abstract uint Extend(uint value, int size);
    }

    private readonly struct Unsigned : ISign
    {
        public static uint Extend(uint value, int size) => value;
    }

    private readonly struct Signed : ISign
    {
        public static uint Extend(uint value, int size) => (uint)Interpreter.SignExtend(value, size);
    }
}
