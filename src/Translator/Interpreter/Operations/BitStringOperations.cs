using System.Numerics;
using System.Runtime.CompilerServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>What BT, BTS, BTR and BTC do to the bit that they test.</summary>
internal interface IBitChange
{
    /// <summary>Whether the operand is written.</summary>
    static abstract bool Writes { get; }

    /// <summary>The word after the change; <paramref name="bit"/> is a mask.</summary>
    static abstract uint Apply(uint word, uint bit);
}

/// <summary>BT, BTS, BTR, BTC, BSF, BSR, POPCNT, LZCNT, TZCNT, CRC32.</summary>
internal static unsafe class BitStringOperations
{
    /// <summary>
    /// BT and its relatives. With a register as bit offset and memory as base, the word addressed is offset / size away.
    /// </summary>
    public static bool Test<TChange>(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
        where TChange : struct, IBitChange
    {
        int size = d.Size;
        int bits = size * 8;
        uint index = d.Kind1 == OperandKind.Immediate ? d.Immediate : Interpreter.Load(Interpreter.Register(cpu, d.Register1), size);
        uint bit = 1u << ((int)index & (bits - 1));
        MemoryAccess access = TChange.Writes ? MemoryAccess.Write : MemoryAccess.Read;
        byte* pointer;
        if (d.Kind0 == OperandKind.Register)
        {
            pointer = Interpreter.Register(cpu, d.Register0);
        }
        else
        {
            uint offset = Interpreter.EffectiveAddress(cpu, in d);
            if (d.Kind1 != OperandKind.Immediate)
            {
                int signed = Interpreter.SignExtend(index, size);
                offset += (uint)((signed >> (size == 4 ? 5 : 4)) * size);
                if ((d.Flags & DecodedFlags.Address16) != 0)
                {
                    offset &= 0xFFFF;
                }
            }

            pointer = interpreter.OpenAt(cpu, (SegmentIndex)d.Segment, offset, size, access);
            if (pointer == null)
            {
                return false;
            }
        }

        uint word;
        if (TChange.Writes && (d.Flags & DecodedFlags.Lock) != 0)
        {
            word = Locked<TChange>(interpreter, cpu, pointer, size, bit);
        }
        else
        {
            word = Interpreter.Load(pointer, size);
            if (TChange.Writes)
            {
                Interpreter.Store(pointer, size, TChange.Apply(word, bit));
                interpreter.Commit(cpu);
            }
        }

        // OF, SF, AF and PF are undefined; Zen keeps them. ZF is kept by definition.
        LazyFlags.SetStatus(cpu, (LazyFlags.Status(cpu) & ~Flags.Cf) | ((word & bit) != 0 ? Flags.Cf : 0));
        return true;
    }

    /// <summary>BSF; the destination stays where the source is 0 (AMD defines it so, and Intel's processors do it).</summary>
    public static bool Bsf(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, d.Size, out uint value))
        {
            return false;
        }

        return Scan(cpu, in d, value, BitOperations.TrailingZeroCount(value));
    }

    /// <summary>BSR.</summary>
    public static bool Bsr(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, d.Size, out uint value))
        {
            return false;
        }

        return Scan(cpu, in d, value, BitOperations.Log2(value));
    }

    /// <summary>POPCNT.</summary>
    public static bool Popcnt(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, d.Size, out uint value))
        {
            return false;
        }

        Interpreter.Store(Interpreter.Register(cpu, d.Register0), d.Size, (uint)BitOperations.PopCount(value));
        LazyFlags.SetStatus(cpu, value == 0 ? Flags.Zf : 0);
        return true;
    }

    /// <summary>LZCNT.</summary>
    public static bool Lzcnt(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, d.Size, out uint value))
        {
            return false;
        }

        return Count(cpu, in d, value, BitOperations.LeadingZeroCount(value) - (32 - (d.Size * 8)));
    }

    /// <summary>TZCNT.</summary>
    public static bool Tzcnt(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, d.Size, out uint value))
        {
            return false;
        }

        return Count(cpu, in d, value, Math.Min(BitOperations.TrailingZeroCount(value), d.Size * 8));
    }

    /// <summary>CRC32 (the Castagnoli polynomial).</summary>
    public static bool Crc32(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, d.SourceSize, out uint value))
        {
            return false;
        }

        uint* register = (uint*)Interpreter.Register(cpu, d.Register0);
        *register = d.SourceSize switch
        {
            1 => BitOperations.Crc32C(*register, (byte)value),
            2 => BitOperations.Crc32C(*register, (ushort)value),
            _ => BitOperations.Crc32C(*register, value),
        };
        return true;
    }

    private static bool Scan(CpuState* cpu, in DecodedInstruction d, uint value, int index)
    {
        if (value != 0)
        {
            Interpreter.Store(Interpreter.Register(cpu, d.Register0), d.Size, (uint)index);
        }

        LazyFlags.SetStatus(cpu, (LazyFlags.Status(cpu) & ~Flags.Zf) | (value == 0 ? Flags.Zf : 0));
        return true;
    }

    private static bool Count(CpuState* cpu, in DecodedInstruction d, uint value, int count)
    {
        Interpreter.Store(Interpreter.Register(cpu, d.Register0), d.Size, (uint)count);

        // The others are undefined; Zen keeps OF and clears SF, AF and PF.
        LazyFlags.SetStatus(cpu, (LazyFlags.Status(cpu) & Flags.Of) | (value == 0 ? Flags.Cf : 0) | (count == 0 ? Flags.Zf : 0));
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static uint Locked<TChange>(Interpreter interpreter, CpuState* cpu, byte* pointer, int size, uint bit)
        where TChange : struct, IBitChange
    {
        uint word;
        if (interpreter.NeedsSplitLock(pointer, size))
        {
            using Lock.Scope scope = Interpreter.EnterSplitLock();
            interpreter.RefreshSplit();
            word = Interpreter.Load(pointer, size);
            interpreter.StoreSplit(cpu, pointer, size, word, TChange.Apply(word, bit));
            return word;
        }

        uint seen = Interpreter.Load(pointer, size);
        do
        {
            word = seen;
            seen = Interpreter.CompareExchange(pointer, size, TChange.Apply(word, bit), word);
        }
        while (seen != word);
        interpreter.Commit(cpu);
        return word;
    }
}

/// <summary>BT.</summary>
internal readonly struct BitTest : IBitChange
{
    public static bool Writes => false;

    public static uint Apply(uint word, uint bit) => word;
}

/// <summary>BTS.</summary>
internal readonly struct BitSet : IBitChange
{
    public static bool Writes => true;

    public static uint Apply(uint word, uint bit) => word | bit;
}

/// <summary>BTR.</summary>
internal readonly struct BitReset : IBitChange
{
    public static bool Writes => true;

    public static uint Apply(uint word, uint bit) => word & ~bit;
}

/// <summary>BTC.</summary>
internal readonly struct BitComplement : IBitChange
{
    public static bool Writes => true;

    public static uint Apply(uint word, uint bit) => word ^ bit;
}
