using System.Runtime.CompilerServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>LODS, STOS, SCAS and MOVS without REP, in flat segments. Kernels build their string functions of them.</summary>
internal static unsafe class StringOps
{
    /// <summary>The routine of a LODS.</summary>
    public static ThreadedRoutine PickLods(in DecodedInstruction d) =>
        !IsSimple(in d) ? null : d.Size == 1 ? &Load<Byte1> : d.Size == 2 ? &Load<Byte2> : &Load<Byte4>;

    /// <summary>The routine of a STOS.</summary>
    public static ThreadedRoutine PickStos(in DecodedInstruction d) =>
        !IsSimple(in d) ? null : d.Size == 1 ? &Store<Byte1> : d.Size == 2 ? &Store<Byte2> : &Store<Byte4>;

    /// <summary>The routine of a SCAS.</summary>
    public static ThreadedRoutine PickScas(in DecodedInstruction d) =>
        !IsSimple(in d) ? null : d.Size == 1 ? &Scan<Byte1> : d.Size == 2 ? &Scan<Byte2> : &Scan<Byte4>;

    /// <summary>The routine of a MOVS.</summary>
    public static ThreadedRoutine PickMovs(in DecodedInstruction d) =>
        !IsSimple(in d) ? null : d.Size == 1 ? &Move<Byte1> : d.Size == 2 ? &Move<Byte2> : &Move<Byte4>;

    private static bool IsSimple(in DecodedInstruction d) =>
        (d.Flags & (DecodedFlags.Rep | DecodedFlags.Repne | DecodedFlags.FlatSegment | DecodedFlags.Address16)) == DecodedFlags.FlatSegment;

    [MethodImpl(Chain.Hot)]
    private static int Load<TWidth>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TWidth : struct, IWidth
    {
        uint source = cpu->Gpr[(int)Gpr.Esi];
        long entry = Addresses.Entry(cpu, source, MemoryAccess.Read);
        if (Addresses.IsSlow<BaseAddress, TWidth>(cpu, op, source, entry))
        {
            return GeneralOps.SetsEip(interpreter, cpu, op);
        }

        Interpreter.Store((byte*)cpu->Gpr, TWidth.Size, Interpreter.Load((byte*)(entry + source), TWidth.Size));
        cpu->Gpr[(int)Gpr.Esi] = source + Step<TWidth>(cpu);
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int Store<TWidth>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TWidth : struct, IWidth
    {
        uint destination = cpu->Gpr[(int)Gpr.Edi];
        long entry = Addresses.Entry(cpu, destination, MemoryAccess.Write);
        if (Addresses.IsSlow<BaseAddress, TWidth>(cpu, op, destination, entry))
        {
            return GeneralOps.SetsEip(interpreter, cpu, op);
        }

        Interpreter.Store((byte*)(entry + destination), TWidth.Size, cpu->Gpr[(int)Gpr.Eax]);
        cpu->Gpr[(int)Gpr.Edi] = destination + Step<TWidth>(cpu);
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int Scan<TWidth>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TWidth : struct, IWidth
    {
        uint destination = cpu->Gpr[(int)Gpr.Edi];
        long entry = Addresses.Entry(cpu, destination, MemoryAccess.Read);
        if (Addresses.IsSlow<BaseAddress, TWidth>(cpu, op, destination, entry))
        {
            return GeneralOps.SetsEip(interpreter, cpu, op);
        }

        uint a = cpu->Gpr[(int)Gpr.Eax] & Interpreter.Mask(TWidth.Size);
        uint b = Interpreter.Load((byte*)(entry + destination), TWidth.Size);
        LazyFlags.Set(cpu, FlagOperation.Subtract, TWidth.Size, a, b, (a - b) & Interpreter.Mask(TWidth.Size));
        cpu->Gpr[(int)Gpr.Edi] = destination + Step<TWidth>(cpu);
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int Move<TWidth>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TWidth : struct, IWidth
    {
        uint source = cpu->Gpr[(int)Gpr.Esi], destination = cpu->Gpr[(int)Gpr.Edi];
        long from = Addresses.Entry(cpu, source, MemoryAccess.Read);
        long to = Addresses.Entry(cpu, destination, MemoryAccess.Write);
        if (Addresses.IsSlow<BaseAddress, TWidth>(cpu, op, source, from) || Addresses.IsSlow<BaseAddress, TWidth>(cpu, op, destination, to))
        {
            return GeneralOps.SetsEip(interpreter, cpu, op);
        }

        Interpreter.Store((byte*)(to + destination), TWidth.Size, Interpreter.Load((byte*)(from + source), TWidth.Size));
        uint step = Step<TWidth>(cpu);
        cpu->Gpr[(int)Gpr.Esi] = source + step;
        cpu->Gpr[(int)Gpr.Edi] = destination + step;
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Step<TWidth>(CpuState* cpu)
        where TWidth : struct, IWidth =>
        (cpu->Eflags & Flags.Df) == 0 ? (uint)TWidth.Size : (uint)-TWidth.Size;
}
