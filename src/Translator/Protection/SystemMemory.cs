using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>
/// Memory as the processor's own structures and stack frames reach it: by linear address, through the software TLB, with supervisor
/// rights unless told otherwise. False is a page fault in <see cref="CpuState.Fault"/>, at the first byte that isn't there.
/// </summary>
internal sealed unsafe class SystemMemory(NativePlatform owner)
{
    public bool TryRead(CpuState* cpu, uint linear, Span<byte> bytes, bool user = false)
    {
        while (bytes.Length != 0)
        {
            int count = Math.Min(bytes.Length, 4096 - (int)(linear & 0xFFF));
            if (!TryResolve(cpu, linear, MemoryAccess.Read, user, out byte* host))
            {
                return false;
            }

            new ReadOnlySpan<byte>(host, count).CopyTo(bytes);
            bytes = bytes[count..];
            linear += (uint)count;
        }

        return true;
    }

    public bool TryWrite(CpuState* cpu, uint linear, ReadOnlySpan<byte> bytes, bool user = false)
    {
        int first = Math.Min(bytes.Length, 4096 - (int)(linear & 0xFFF));
        if (!TryResolve(cpu, linear, MemoryAccess.Write, user, out byte* host))
        {
            return false;
        }

        byte* second = null;
        if (first != bytes.Length && !TryResolve(cpu, linear + (uint)first, MemoryAccess.Write, user, out second))
        {
            return false;
        }

        bytes[..first].CopyTo(new Span<byte>(host, first));
        owner.Written(host, first);
        if (second != null)
        {
            bytes[first..].CopyTo(new Span<byte>(second, bytes.Length - first));
            owner.Written(second, bytes.Length - first);
        }

        return true;
    }

    /// <summary>1, 2 or 4 bytes, zero-extended.</summary>
    public bool TryRead(CpuState* cpu, uint linear, int size, out uint value, bool user = false)
    {
        uint read = 0;
        bool there = TryRead(cpu, linear, new Span<byte>(&read, size), user);
        value = read;
        return there;
    }

    public bool TryRead64(CpuState* cpu, uint linear, out ulong value)
    {
        ulong read = 0;
        bool there = TryRead(cpu, linear, new Span<byte>(&read, 8));
        value = read;
        return there;
    }

    public bool TryWrite(CpuState* cpu, uint linear, int size, uint value, bool user = false) =>
        TryWrite(cpu, linear, new ReadOnlySpan<byte>(&value, size), user);

    /// <summary>Sets or clears bits of one byte atomically.</summary>
    public bool TryChangeBits(CpuState* cpu, uint linear, byte set, byte clear)
    {
        if (!TryResolve(cpu, linear, MemoryAccess.Write, false, out byte* host))
        {
            return false;
        }

        // The aligned word around the byte.
        var word = (int*)((ulong)host & ~3UL);
        int shift = (int)((ulong)host & 3) * 8;
        if (clear != 0)
        {
            Interlocked.And(ref *word, ~(clear << shift));
        }

        Interlocked.Or(ref *word, set << shift);
        owner.Written(host, 1);
        return true;
    }

    /// <summary>Whether a range can be read or written, page by page.</summary>
    public bool TryProbe(CpuState* cpu, uint linear, uint length, MemoryAccess access)
    {
        uint last = linear + length - 1;
        return TryResolve(cpu, linear, access, false, out _)
            && ((linear ^ last) >> 12 == 0 || TryResolve(cpu, last & ~0xFFFu, access, false, out _));
    }

    private bool TryResolve(CpuState* cpu, uint linear, MemoryAccess access, bool user, out byte* host)
    {
        nint half = cpu->TlbRoot + (user ? SoftwareTlb.HalfBytes : 0);
        long entry = Volatile.Read(ref *(long*)(half + ((nint)access * SoftwareTlb.TableBytes) + ((nint)(linear >> 12) * 8)));
        if (entry != 0)
        {
            host = (byte*)(entry + linear);
            return true;
        }

        if (owner.TryResolve(cpu, linear, access, user, out host, out PageFaultCode error))
        {
            return true;
        }

        cpu->Fault = new Fault { Vector = Vector.PageFault, ErrorCode = (uint)error, Address = linear };
        return false;
    }
}
