using System.Runtime.CompilerServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>How an op's memory operand is addressed.</summary>
internal unsafe interface IAddress
{
    /// <summary>Whether the segment has a base, and offsets near 4 GiB are left to the general routine.</summary>
    static abstract bool HasSegment { get; }

    /// <summary>Offset in the segment.</summary>
    static abstract uint Offset(CpuState* cpu, Op* op);
}

/// <summary>A register or none, and a displacement, in a flat segment.</summary>
internal readonly unsafe struct BaseAddress : IAddress
{
    public static bool HasSegment => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Offset(CpuState* cpu, Op* op) => *(uint*)((byte*)cpu + op->Base) + op->Displacement;
}

/// <summary>Everything there is, in a segment of 4 GiB.</summary>
internal readonly unsafe struct FullAddress : IAddress
{
    public static bool HasSegment => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Offset(CpuState* cpu, Op* op) =>
        *(uint*)((byte*)cpu + op->Base) + (*(uint*)((byte*)cpu + op->Index) << op->Scale) + op->Displacement;
}

/// <summary>Size of an op's operand.</summary>
internal interface IWidth
{
    /// <summary>Bytes.</summary>
    static abstract int Size { get; }
}

/// <summary>One byte.</summary>
internal readonly struct Byte1 : IWidth
{
    public static int Size => 1;
}

/// <summary>Two bytes.</summary>
internal readonly struct Byte2 : IWidth
{
    public static int Size => 2;
}

/// <summary>Four bytes.</summary>
internal readonly struct Byte4 : IWidth
{
    public static int Size => 4;
}

/// <summary>Memory operands of ops.</summary>
internal static unsafe class Addresses
{
    private const uint LastOffset = 0xFFFFF000;

    /// <summary>A register of the state.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* At(CpuState* cpu, byte offset) => (byte*)cpu + offset;

    /// <summary>Linear address of the memory operand.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Linear<TAddress>(CpuState* cpu, Op* op)
        where TAddress : struct, IAddress =>
        TAddress.HasSegment ? TAddress.Offset(cpu, op) + *(uint*)((byte*)cpu + op->Segment) : TAddress.Offset(cpu, op);

    /// <summary>What the software TLB has for an address: host address less linear address, or 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long Entry(CpuState* cpu, uint linear, MemoryAccess access) =>
        Volatile.Read(ref *(long*)(cpu->Tlb + ((nint)access * SoftwareTlb.TableBytes) + (nint)((nuint)(linear >> 12) * 8)));

    /// <summary>Whether an operand is the general routine's: not in the software TLB, across pages, or with an offset near 4 GiB.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsSlow<TAddress, TWidth>(CpuState* cpu, Op* op, uint linear, long entry)
        where TAddress : struct, IAddress
        where TWidth : struct, IWidth =>
        entry == 0
        || (TWidth.Size != 1 && (linear & 0xFFF) > (uint)(4096 - TWidth.Size))
        || (TAddress.HasSegment && linear - *(uint*)((byte*)cpu + op->Segment) > LastOffset);

    /// <summary>The same for four bytes of a flat stack.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsSlow(uint linear, long entry) => entry == 0 || (linear & 0xFFF) > 4092;
}
