using System.Runtime.CompilerServices;
using Dbt.Translator.Interpretation;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Emit;

/// <summary>
/// Repeated string instructions for translated code, in flat segments: one piece after another that lies in one page of each side, as long as the
/// software TLB has the pages. What it doesn't have (a fault, a register of a device, a page with translated code), a set DF and
/// Attention end a run early; the instruction is restartable, and the interpreter goes on with it. A page with translated code has
/// no write entry, so nothing written here need be announced.
/// </summary>
internal static unsafe class RepeatedStrings
{
    /// <summary>Set in what a comparison returns where the repetition is over.</summary>
    public const int FinishedBit = 32;

    private const uint PageBytes = 4096;

    /// <summary>MOVS.</summary>
    /// <returns>Elements left.</returns>
    public static uint Move(CpuState* cpu, uint source, uint destination, uint count, int size)
    {
        if (!IsForward(cpu))
        {
            return count;
        }

        while (count != 0)
        {
            long read = Entry(cpu, source, MemoryAccess.Read), write = Entry(cpu, destination, MemoryAccess.Write);
            if (read == 0 || write == 0)
            {
                break;
            }

            uint piece = Math.Min(count, Math.Min(Room(source, size), Room(destination, size)));
            if (piece > 1)
            {
                Copy((byte*)(read + source), (byte*)(write + destination), piece * (uint)size, size);
            }
            else
            {
                // The one element, or one that crosses into another page.
                piece = 1;
                if (!TryRead(cpu, source, size, out uint value) || !TryWrite(cpu, destination, size, value))
                {
                    break;
                }
            }

            count -= piece;
            source += piece * (uint)size;
            destination += piece * (uint)size;
            if (cpu->Attention != 0)
            {
                break;
            }
        }

        return count;
    }

    /// <summary>STOS.</summary>
    /// <returns>Elements left.</returns>
    public static uint Fill(CpuState* cpu, uint destination, uint value, uint count, int size)
    {
        if (!IsForward(cpu))
        {
            return count;
        }

        while (count != 0)
        {
            long write = Entry(cpu, destination, MemoryAccess.Write);
            if (write == 0)
            {
                break;
            }

            uint piece = Math.Min(count, Room(destination, size));
            if (piece > 1)
            {
                Fill((byte*)(write + destination), value, (int)piece, size);
            }
            else
            {
                piece = 1;
                if (!TryWrite(cpu, destination, size, value))
                {
                    break;
                }
            }

            count -= piece;
            destination += piece * (uint)size;
            if (cpu->Attention != 0)
            {
                break;
            }
        }

        return count;
    }

    /// <summary>CMPS. Where any element was compared the state has the flags of the last one.</summary>
    /// <returns>Elements left, and <see cref="FinishedBit"/>.</returns>
    public static ulong Compare(CpuState* cpu, uint source, uint destination, uint count, int size, bool whileEqual)
    {
        if (!IsForward(cpu))
        {
            return count;
        }

        while (count != 0)
        {
            long first = Entry(cpu, source, MemoryAccess.Read), second = Entry(cpu, destination, MemoryAccess.Read);
            uint piece = Math.Min(count, Math.Min(Room(source, size), Room(destination, size)));
            if (first == 0 || second == 0)
            {
                break;
            }

            // All but the element that ends it, which is read again like one alone, and sets the flags.
            uint passed = piece > 1 ? Passed((byte*)(first + source), (byte*)(second + destination), piece, size, whileEqual) : 0;
            if (!TryRead(cpu, source + (passed * (uint)size), size, out uint a) || !TryRead(cpu, destination + (passed * (uint)size), size, out uint b))
            {
                break;
            }

            Flag(cpu, size, a, b);
            count -= passed + 1;
            if (count == 0 || a == b != whileEqual)
            {
                return count | (1UL << FinishedBit);
            }

            source += (passed + 1) * (uint)size;
            destination += (passed + 1) * (uint)size;
            if (cpu->Attention != 0)
            {
                break;
            }
        }

        return count;
    }

    /// <summary>SCAS. Where any element was compared the state has the flags of the last one.</summary>
    /// <returns>Elements left, and <see cref="FinishedBit"/>.</returns>
    public static ulong Scan(CpuState* cpu, uint destination, uint value, uint count, int size, bool whileEqual)
    {
        if (!IsForward(cpu))
        {
            return count;
        }

        value &= Interpreter.Mask(size);
        while (count != 0)
        {
            long entry = Entry(cpu, destination, MemoryAccess.Read);
            if (entry == 0)
            {
                break;
            }

            uint piece = Math.Min(count, Room(destination, size));
            uint passed = piece > 1 ? Passed((byte*)(entry + destination), value, (int)piece, size, whileEqual) : 0;
            if (!TryRead(cpu, destination + (passed * (uint)size), size, out uint b))
            {
                break;
            }

            Flag(cpu, size, value, b);
            count -= passed + 1;
            if (count == 0 || value == b != whileEqual)
            {
                return count | (1UL << FinishedBit);
            }

            destination += (passed + 1) * (uint)size;
            if (cpu->Attention != 0)
            {
                break;
            }
        }

        return count;
    }

    private static bool IsForward(CpuState* cpu) => (cpu->Eflags & Flags.Df) == 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static long Entry(CpuState* cpu, uint linear, MemoryAccess access) =>
        *(long*)(cpu->Tlb + ((nint)access * SoftwareTlb.TableBytes) + ((nint)(linear >> 12) * 8));

    /// <summary>Whole elements from an address to the end of its page.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Room(uint linear, int size) => (PageBytes - (linear & (PageBytes - 1))) >> (size >> 1);

    private static void Copy(byte* source, byte* destination, uint bytes, int size)
    {
        if (destination > source && destination < source + bytes)
        {
            // Each element is read after those before it were written, which repeats a pattern.
            for (uint i = 0; i < bytes; i += (uint)size)
            {
                Interpreter.Store(destination + i, size, Interpreter.Load(source + i, size));
            }
        }
        else
        {
            Buffer.MemoryCopy(source, destination, bytes, bytes);
        }
    }

    private static void Fill(byte* destination, uint value, int count, int size)
    {
        switch (size)
        {
            case 1:
                new Span<byte>(destination, count).Fill((byte)value);
                break;
            case 2:
                new Span<ushort>(destination, count).Fill((ushort)value);
                break;
            default:
                new Span<uint>(destination, count).Fill(value);
                break;
        }
    }

    /// <summary>Elements of two sides after which the repetition goes on; one less than there are at most.</summary>
    private static uint Passed(byte* first, byte* second, uint count, int size, bool whileEqual)
    {
        uint passed = 0;
        if (whileEqual)
        {
            int bytes = (int)count * size;
            passed = (uint)(new ReadOnlySpan<byte>(first, bytes).CommonPrefixLength(new ReadOnlySpan<byte>(second, bytes)) / size);
        }
        else
        {
            while (passed < count && Interpreter.Load(first + (passed * (uint)size), size) != Interpreter.Load(second + (passed * (uint)size), size))
            {
                passed++;
            }
        }

        return Math.Min(passed, count - 1);
    }

    /// <summary>Elements after which a scan goes on; one less than there are at most.</summary>
    private static uint Passed(byte* memory, uint value, int count, int size, bool whileEqual)
    {
        int index = size switch
        {
            1 => Index(new ReadOnlySpan<byte>(memory, count), (byte)value, whileEqual),
            2 => Index(new ReadOnlySpan<ushort>(memory, count), (ushort)value, whileEqual),
            _ => Index(new ReadOnlySpan<uint>(memory, count), value, whileEqual),
        };
        return (uint)(index < 0 ? count - 1 : index);
    }

    private static int Index<T>(ReadOnlySpan<T> elements, T value, bool whileEqual)
        where T : IEquatable<T> => whileEqual ? elements.IndexOfAnyExcept(value) : elements.IndexOf(value);

    private static void Flag(CpuState* cpu, int size, uint a, uint b) =>
        LazyFlags.Set(cpu, FlagOperation.Subtract, size, a, b, (a - b) & Interpreter.Mask(size));

    private static bool TryRead(CpuState* cpu, uint linear, int size, out uint value)
    {
        value = 0;
        if (!TryOpen(cpu, linear, size, MemoryAccess.Read, out byte* first, out byte* second, out int split))
        {
            return false;
        }

        if (split == size)
        {
            value = Interpreter.Load(first, size);
            return true;
        }

        for (int i = 0; i < size; i++)
        {
            value |= (uint)(i < split ? first[i] : second[i - split]) << (8 * i);
        }

        return true;
    }

    private static bool TryWrite(CpuState* cpu, uint linear, int size, uint value)
    {
        if (!TryOpen(cpu, linear, size, MemoryAccess.Write, out byte* first, out byte* second, out int split))
        {
            return false;
        }

        if (split == size)
        {
            Interpreter.Store(first, size, value);
            return true;
        }

        for (int i = 0; i < size; i++)
        {
            *(i < split ? first + i : second + (i - split)) = (byte)(value >> (8 * i));
        }

        return true;
    }

    /// <summary>An element's host address, and that of its bytes from <paramref name="split"/> on where they lie in the next page.</summary>
    private static bool TryOpen(CpuState* cpu, uint linear, int size, MemoryAccess access, out byte* first, out byte* second, out int split)
    {
        long entry = Entry(cpu, linear, access);
        first = (byte*)(entry + linear);
        second = null;
        split = (int)Math.Min((uint)size, PageBytes - (linear & (PageBytes - 1)));
        if (entry == 0 || split == size)
        {
            return entry != 0;
        }

        // Around the end of the address space is the interpreter's.
        uint next = linear + (uint)split;
        long other = next == 0 ? 0 : Entry(cpu, next, access);
        second = (byte*)(other + next);
        return other != 0;
    }
}
