using System.Runtime.CompilerServices;
using Dbt.Translator.Diagnostics;
using Dbt.Translator.Memory;
using Dbt.Translator.Protection;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation;

// The memory unit. An operand in memory is opened (checked, translated), used through a host pointer, and, where it was
// opened for writing, committed. Opening never changes guest state but for accessed and dirty bits, so that an instruction opens
// all it needs before it changes anything. What cannot be reached by one pointer (an access across two pages)
// goes through a scratch buffer; what lies in a page with translated code is announced at the commit.
internal sealed unsafe partial class Interpreter
{
    /// <summary>Longest access that may cross a page: FXSAVE's area.</summary>
    public const int MaxAccess = 512;

    private const int ScratchBytes = 4096;
    private const int WriteScratch = 1024;
    private const int FxScratch = 2048;
    private const int BounceScratch = 3072;

    private readonly CodeMap _codeMap;
    private readonly byte* _scratch;

    // The write that waits for its commit: 0 none, 1 across pages, 2 direct, into a page with code.
    private int _pending;
    private byte* _pendingFirst;
    private byte* _pendingSecond;
    private int _pendingSize;
    private int _pendingSplit;

    /// <summary>512 bytes, aligned, for a copy of the FX area.</summary>
    public byte* FxWork => _scratch + FxScratch;

    /// <summary>512 bytes, aligned, that stand for a memory operand in native code.</summary>
    public byte* Bounce => _scratch + BounceScratch;

    /// <summary>Offset of the memory operand within its segment.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint EffectiveAddress(CpuState* cpu, in DecodedInstruction d)
    {
        uint address = d.Displacement;
        if (d.Base != DecodedInstruction.NoRegister)
        {
            address += cpu->Gpr[d.Base];
        }

        if (d.Index != DecodedInstruction.NoRegister)
        {
            address += cpu->Gpr[d.Index] << d.Scale;
        }

        return (d.Flags & DecodedFlags.Address16) == 0 ? address : address & 0xFFFF;
    }

    /// <summary>Opens the memory operand.</summary>
    /// <returns>A host pointer to <paramref name="size"/> bytes; null for a fault.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Open(CpuState* cpu, in DecodedInstruction d, int size, MemoryAccess access)
    {
        uint offset = EffectiveAddress(cpu, in d);
        if ((d.Flags & DecodedFlags.FlatSegment) != 0)
        {
            long entry = TlbEntry(cpu, offset, access);
            if (entry != 0 && (offset & 0xFFF) <= (uint)(4096 - size))
            {
                return (byte*)(entry + offset);
            }
        }

        return OpenAt(cpu, (SegmentIndex)d.Segment, offset, size, access);
    }

    /// <summary>Opens what lies <paramref name="distance"/> bytes behind the start of the memory operand, for its second half.</summary>
    public byte* OpenBehind(CpuState* cpu, in DecodedInstruction d, int distance, int size, MemoryAccess access)
    {
        uint offset = EffectiveAddress(cpu, in d) + (uint)distance;
        return OpenAt(cpu, (SegmentIndex)d.Segment, (d.Flags & DecodedFlags.Address16) == 0 ? offset : offset & 0xFFFF, size, access);
    }

    /// <summary>Reads the memory operand as a far pointer: offset of the operand size, then selector, each an access of its own.</summary>
    /// <returns>False for a fault.</returns>
    public bool TryFarPointer(CpuState* cpu, in DecodedInstruction d, out uint offset, out ushort selector)
    {
        (offset, selector) = (0, 0);
        byte* pointer = Open(cpu, in d, d.Size, MemoryAccess.Read);
        if (pointer == null)
        {
            return false;
        }

        offset = Load(pointer, d.Size);
        pointer = OpenBehind(cpu, in d, d.Size, 2, MemoryAccess.Read);
        if (pointer == null)
        {
            return false;
        }

        selector = (ushort)Load(pointer, 2);
        return true;
    }

    /// <summary>Opens memory on the stack at an offset in SS.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* OpenStack(CpuState* cpu, in DecodedInstruction d, uint offset, int size, MemoryAccess access)
    {
        if ((d.Flags & DecodedFlags.FlatStack) != 0)
        {
            long entry = TlbEntry(cpu, offset, access);
            if (entry != 0 && (offset & 0xFFF) <= (uint)(4096 - size))
            {
                return (byte*)(entry + offset);
            }
        }

        // A frame of several words is aligned as its words are.
        return TryLinear(cpu, SegmentIndex.Ss, offset, (uint)size, access, out uint linear)
            ? OpenLinear(cpu, linear, size, access, Math.Min(size, d.Size == 2 ? 2 : 4))
            : null;
    }

    /// <summary>Opens memory at an offset in a segment: all checks.</summary>
    /// <returns>A host pointer to <paramref name="size"/> bytes (up to <see cref="MaxAccess"/>); null for a fault.</returns>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public byte* OpenAt(CpuState* cpu, SegmentIndex segment, uint offset, int size, MemoryAccess access)
    {
        if (TryLinear(cpu, segment, offset, (uint)size, access, out uint linear))
        {
            return OpenLinear(cpu, linear, size, access);
        }

        if (size == MaxAccess)
        {
            ReachLimit(cpu, segment, offset, access);
        }

        return null;
    }

    // FXSAVE and FXRSTOR go forward: an absent page before the segment's end faults first.
    private void ReachLimit(CpuState* cpu, SegmentIndex segment, uint offset, MemoryAccess access)
    {
        for (uint done = 0; done < MaxAccess; done += 16)
        {
            if (!TryLinear(cpu, segment, offset + done, 16, access, out uint linear) || !TryResolve(cpu, linear, access, out _))
            {
                return;
            }
        }
    }

    /// <summary>Opens memory at a linear address, to be aligned to its size or as told where the processor checks alignment.</summary>
    public byte* OpenLinear(CpuState* cpu, uint linear, int size, MemoryAccess access, int alignment = 0)
    {
        if ((cpu->Mode & CpuMode.Watched) != 0 && !Watch(cpu, linear, size, alignment == 0 ? size : alignment, access))
        {
            return null;
        }

        int room = 4096 - (int)(linear & 0xFFF);
        if (!TryResolve(cpu, linear, access, out byte* first))
        {
            return null;
        }

        if (size <= room)
        {
            if (access == MemoryAccess.Write && _codeMap.HasCode(first))
            {
                _pending = 2;
                _pendingFirst = first;
                _pendingSize = size;
            }

            return first;
        }

        // The page that is reached first faults first; nothing is written before both are known to be there.
        if (!TryResolve(cpu, linear + (uint)room, access, out byte* second))
        {
            return null;
        }

        byte* buffer = _scratch;
        if (access == MemoryAccess.Write)
        {
            buffer += WriteScratch;
            _pending = 1;
            _pendingFirst = first;
            _pendingSecond = second;
            _pendingSize = size;
            _pendingSplit = room;
        }

        Unsafe.CopyBlockUnaligned(buffer, first, (uint)room);
        Unsafe.CopyBlockUnaligned(buffer + room, second, (uint)(size - room));
        return buffer;
    }

    /// <summary>Whether the operand just opened for writing spans two pages.</summary>
    public bool WriteIsSplit => _pending == 1;

    /// <summary>Ends a write: called once after the bytes were stored through the pointer.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Commit(CpuState* cpu)
    {
        if (_pending != 0)
        {
            CommitPending(cpu);
        }
    }

    /// <summary>Forgets a write that was opened and not made.</summary>
    public void AbandonWrite() => _pending = 0;

    /// <summary>Checks an access against its segment (SDM vol. 3, 5.3 and 5.4).</summary>
    /// <returns>False for #GP(0) or #SS(0).</returns>
    public static bool TryLinear(CpuState* cpu, SegmentIndex segment, uint offset, uint size, MemoryAccess access, out uint linear)
    {
        ref Segment s = ref cpu->Segments[segment];
        linear = s.Base + offset;
        bool inside = offset >= s.Low && offset <= s.High && s.High - offset >= size - 1;
        bool permitted = access == MemoryAccess.Write ? s.Writable : s.Readable;
        if (inside && permitted)
        {
            return true;
        }

        // A segment that forbids the kind of access is #GP even for SS, which can only be a writable data segment or null.
        return SegmentViolation(cpu, segment);
    }

    /// <summary>Translates a linear address, through the software TLB first.</summary>
    /// <returns>False for #PF, which is then in the state.</returns>
    public bool TryResolve(CpuState* cpu, uint linear, MemoryAccess access, out byte* host)
    {
        long entry = TlbEntry(cpu, linear, access);
        if (entry != 0)
        {
            host = (byte*)(entry + linear);
            return true;
        }

        int doing = cpu->Doing;
        cpu->Doing = (int)ProcessorActivity.PageTables;
        bool resolved = Platform.TryResolve(cpu, linear, access, cpu->Cpl == 3, out host, out PageFaultCode error);
        cpu->Doing = doing;
        if (resolved)
        {
            return true;
        }

        cpu->Fault = new Fault { Vector = Vector.PageFault, ErrorCode = (uint)error, Address = linear };
        return false;
    }

    /// <summary>Tells that bytes of a page were written through a pointer that was resolved for writing.</summary>
    public void Written(CpuState* cpu, byte* host, int length)
    {
        if (_codeMap.HasCode(host))
        {
            cpu->CodeChanged = 1;
            _codeMap.Written(host, length);
        }
    }

    // A vector or a structure asks for its own alignment, or none.
    private static bool Watch(CpuState* cpu, uint linear, int size, int alignment, MemoryAccess access)
    {
        if ((cpu->Mode & CpuMode.Aligned) != 0 && alignment is 2 or 4 or 8 && (linear & (uint)(alignment - 1)) != 0)
        {
            return Raise(cpu, Vector.AlignmentCheck);
        }

        Breakpoints.TakeData(cpu, linear, (uint)size, access);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static long TlbEntry(CpuState* cpu, uint linear, MemoryAccess access) =>
        Volatile.Read(ref *(long*)(cpu->Tlb + ((nint)access * SoftwareTlb.TableBytes) + ((nint)(linear >> 12) * 8)));

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CommitPending(CpuState* cpu)
    {
        if (_pending == 1)
        {
            byte* buffer = _scratch + WriteScratch;
            Unsafe.CopyBlockUnaligned(_pendingFirst, buffer, (uint)_pendingSplit);
            Unsafe.CopyBlockUnaligned(_pendingSecond, buffer + _pendingSplit, (uint)(_pendingSize - _pendingSplit));
            Written(cpu, _pendingFirst, _pendingSplit);
            Written(cpu, _pendingSecond, _pendingSize - _pendingSplit);
        }
        else
        {
            Written(cpu, _pendingFirst, _pendingSize);
        }

        _pending = 0;
    }
}
