using Dbt.Translator.Protection;
using Dbt.Translator.State;
using Dbt.Xen.Memory;
using Iced.Intel;

namespace Dbt.Xen.Processor;

/// <summary>
/// IN, OUT, INS and OUTS. A guest here owns no port, so reads give all ones and writes go nowhere; whether it may try at all is decided
/// by its virtual IOPL and its I/O bitmap, as for a kernel and its processes on a bare machine.
/// </summary>
internal static unsafe class PortEmulator
{
    /// <summary>Bytes that one string instruction moves before it is interrupted, to be continued.</summary>
    private const uint StringChunk = 4096;

    /// <summary>Carries a port instruction out.</summary>
    /// <returns>False for #GP(0).</returns>
    public static bool TryEmulate(Vcpu vcpu, in Instruction instruction, uint next)
    {
        CpuState* cpu = vcpu.State;
        (int size, bool isImmediate, bool isInput, bool isString) = PortInstruction.Shape(instruction.Code);
        uint port = isImmediate ? instruction.Immediate8 : cpu->Gpr[(int)Gpr.Edx] & 0xFFFF;
        if (size == 0 || !MayUse(vcpu, port, (uint)size))
        {
            return false;
        }

        if (isString)
        {
            return TryString(vcpu, instruction, size, isInput, next);
        }

        if (isInput)
        {
            uint mask = size == 4 ? uint.MaxValue : (1u << (size * 8)) - 1;
            cpu->Gpr[(int)Gpr.Eax] |= mask;
        }

        cpu->Eip = next;
        Done(vcpu, port, size);
        return true;
    }

    private static void Done(Vcpu vcpu, uint port, int size)
    {
        uint matched = DebugRegisters.MatchPort(vcpu, port, size);
        if (matched != 0)
        {
            DebugRegisters.RaiseTrap(vcpu, matched);
        }
        else
        {
            FaultDelivery.Emulated(vcpu);
        }
    }

    private static bool MayUse(Vcpu vcpu, uint port, uint size)
    {
        if (PrivilegedEmulator.IoplAllows(vcpu))
        {
            return true;
        }

        if (port + size > vcpu.IoBitmapPorts)
        {
            return false;
        }

        // What can't be read of the bitmap counts as set: no access.
        Span<byte> bits = [0xFF, 0xFF];
        uint at = vcpu.IoBitmap + (port >> 3);
        if (!GuestAccess.TryRead(vcpu, at, bits))
        {
            bits[1] = 0xFF;
            if (!GuestAccess.TryRead(vcpu, at, bits[..1]))
            {
                return false;
            }
        }

        uint wanted = ((1u << (int)size) - 1) << (int)(port & 7);
        return ((bits[0] | (uint)bits[1] << 8) & wanted) == 0;
    }

    private static bool TryString(Vcpu vcpu, in Instruction instruction, int size, bool isInput, uint next)
    {
        CpuState* cpu = vcpu.State;
        bool wide = instruction.MemoryBase is Register.ESI or Register.EDI || (isInput ? instruction.Op0Kind : instruction.Op1Kind) is OpKind.MemoryESEDI or OpKind.MemorySegESI;
        uint addressMask = wide ? uint.MaxValue : 0xFFFF;
        bool repeats = instruction.HasRepPrefix || instruction.HasRepnePrefix;
        ref uint pointer = ref cpu->Gpr[isInput ? (int)Gpr.Edi : (int)Gpr.Esi];
        ref uint counter = ref cpu->Gpr[(int)Gpr.Ecx];
        uint step = (cpu->Eflags & Flags.Df) != 0 ? (uint)-size : (uint)size;
        SegmentIndex index = isInput ? SegmentIndex.Es : ToIndex(instruction.MemorySegment);
        uint left = repeats ? Math.Min(counter & addressMask, StringChunk / (uint)size) : 1;
        Span<byte> ones = [0xFF, 0xFF, 0xFF, 0xFF];
        Span<byte> scratch = stackalloc byte[4];
        for (; left != 0; left--)
        {
            uint offset = pointer & addressMask;
            ref Segment segment = ref cpu->Segments[index];
            bool usable = segment.Present && (isInput ? segment.Writable : segment.Readable)
                && offset >= segment.Low && offset <= segment.High && segment.High - offset >= (uint)size - 1;
            if (!usable)
            {
                return false;
            }

            uint linear = segment.Base + offset;
            bool moved = isInput ? GuestAccess.TryWrite(vcpu, linear, ones[..size]) : GuestAccess.TryRead(vcpu, linear, scratch[..size]);
            if (!moved)
            {
                FaultDelivery.Inject(vcpu, GuestMemoryFault.Find(vcpu, linear, (uint)size, isInput));
                return true;
            }

            pointer = (pointer & ~addressMask) | ((pointer + step) & addressMask);
            if (repeats)
            {
                counter = (counter & ~addressMask) | ((counter - 1) & addressMask);
            }
        }

        if (!repeats || (counter & addressMask) == 0)
        {
            cpu->Eip = next;
        }

        FaultDelivery.Emulated(vcpu);
        return true;
    }

    private static SegmentIndex ToIndex(Register register) => register switch
    {
        Register.ES => SegmentIndex.Es,
        Register.CS => SegmentIndex.Cs,
        Register.SS => SegmentIndex.Ss,
        Register.FS => SegmentIndex.Fs,
        Register.GS => SegmentIndex.Gs,
        _ => SegmentIndex.Ds,
    };
}
