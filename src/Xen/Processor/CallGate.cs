using Dbt.Translator.State;
using Dbt.Xen.Memory;
using Iced.Intel;

namespace Dbt.Xen.Processor;

/// <summary>
/// Far calls and jumps through a call gate of the guest. The tables hold gates in a form that always raises #GP with the gate's selector
/// (see <see cref="DescriptorCheck"/>); here the transfer is carried out with the checks of SDM vol. 3, 5.8.4. Anything that isn't such a
/// transfer, a selector beyond the end of a table or of an absent LDT among it, is the guest's own #GP.
/// </summary>
internal static unsafe class CallGate
{
    private const int GateType = 0xC;

    private readonly record struct Gate(ushort Target, uint Offset, int Dpl, int Parameters, bool Present);

    /// <summary>Deals with a #GP whose error code is a selector.</summary>
    public static void Enter(Vcpu vcpu, ushort selector)
    {
        Fault? fault = TryEnter(vcpu, selector);
        if (fault is { } found)
        {
            FaultDelivery.Inject(vcpu, found);
        }
        else
        {
            FaultDelivery.Emulated(vcpu);
        }
    }

    private static Fault? TryEnter(Vcpu vcpu, ushort selector)
    {
        CpuState* cpu = vcpu.State;
        Fault own = Protection(selector);
        if (!TryReadGate(vcpu, selector, out Gate gate) || gate.Dpl < cpu->Cpl)
        {
            return own;
        }

        if (!gate.Present)
        {
            return new Fault { Vector = Vector.SegmentNotPresent, ErrorCode = selector };
        }

        Fault? failed = TryReadOperand(vcpu, out Instruction instruction, out ushort operand, out bool isCall);
        if (failed is not null)
        {
            return failed;
        }

        if (instruction.IsInvalid || (operand & ~3) != selector || gate.Dpl < (operand & 3))
        {
            return own;
        }

        if (!vcpu.Descriptors.TryRead(gate.Target, out ulong descriptor))
        {
            return Protection(gate.Target);
        }

        Segment code = Segment.FromDescriptor(gate.Target, descriptor);
        bool conforming = (code.Type & 4) != 0;
        if (!code.IsCode || (isCall || conforming ? code.Dpl > cpu->Cpl : code.Dpl != cpu->Cpl))
        {
            return Protection(gate.Target);
        }

        if (!code.Present)
        {
            return new Fault { Vector = Vector.SegmentNotPresent, ErrorCode = gate.Target };
        }

        uint next = cpu->Eip + (uint)instruction.Length;
        int level = isCall && !conforming ? code.Dpl : cpu->Cpl;
        return isCall ? Call(vcpu, gate, level, next, own) : Go(vcpu, gate, level, cpu->Segments[SegmentIndex.Ss].Selector, cpu->Gpr[(int)Gpr.Esp]);
    }

    private static Fault? Call(Vcpu vcpu, in Gate gate, int level, uint next, Fault own)
    {
        CpuState* cpu = vcpu.State;
        ref Segment present = ref cpu->Segments[SegmentIndex.Ss];
        ReturnPoint from = ReturnPoint.Of(cpu);
        Span<uint> frame = stackalloc uint[4 + 31];
        int count = 0;
        frame[count++] = next;
        frame[count++] = from.Cs;
        ushort ss = from.Ss;
        uint esp = from.Esp;
        Segment stack = present;
        if (level < cpu->Cpl)
        {
            // Only the kernel's stack is known.
            if (level != 1)
            {
                return own;
            }

            Span<uint> parameters = frame.Slice(count, gate.Parameters);
            uint at = present.Base + from.Esp;
            if (!GuestAccess.TryRead(vcpu, at, System.Runtime.InteropServices.MemoryMarshal.AsBytes(parameters)))
            {
                return GuestMemoryFault.Find(vcpu, at, (uint)gate.Parameters * 4, false);
            }

            count += gate.Parameters;
            frame[count++] = from.Esp;
            frame[count++] = from.Ss;
            (ss, esp) = (vcpu.KernelSs, vcpu.KernelSp);
            Fault? bad = TryStack(vcpu, ss, level, out stack);
            if (bad is not null)
            {
                return bad;
            }
        }

        esp -= (uint)count * 4;
        if (esp < stack.Low || esp > stack.High || stack.High - esp < ((uint)count * 4) - 1)
        {
            return new Fault { Vector = Vector.StackFault, ErrorCode = level < cpu->Cpl ? (uint)(ss & ~3) : 0 };
        }

        uint linear = stack.Base + esp;
        return GuestAccess.TryWrite(vcpu, linear, System.Runtime.InteropServices.MemoryMarshal.AsBytes(frame[..count]))
            ? Go(vcpu, gate, level, ss, esp)
            : GuestMemoryFault.Find(vcpu, linear, (uint)count * 4, true);
    }

    private static Fault? Go(Vcpu vcpu, in Gate gate, int level, ushort ss, uint esp)
    {
        var to = new ReturnPoint((ushort)(gate.Target | level), gate.Offset, LazyFlags.Read(vcpu.State), ss, esp);
        return GuestEntry.TryGo(vcpu, to, out Fault fault) ? null : fault;
    }

    private static Fault? TryStack(Vcpu vcpu, ushort ss, int level, out Segment stack)
    {
        stack = default;
        if ((ss & 3) != level || !vcpu.Descriptors.TryRead(ss, out ulong descriptor))
        {
            return new Fault { Vector = Vector.InvalidTss, ErrorCode = (uint)(ss & ~3) };
        }

        stack = Segment.FromDescriptor(ss, descriptor);
        if (stack.Dpl != level || !stack.Writable)
        {
            return new Fault { Vector = Vector.InvalidTss, ErrorCode = (uint)(ss & ~3) };
        }

        return stack.Present ? null : new Fault { Vector = Vector.StackFault, ErrorCode = (uint)(ss & ~3) };
    }

    private static bool TryReadGate(Vcpu vcpu, ushort selector, out Gate gate)
    {
        gate = default;
        if ((selector & ~7) == 0 && (selector & 4) == 0)
        {
            return false;
        }

        if (!vcpu.Descriptors.TryRead(selector, out ulong descriptor))
        {
            return false;
        }

        uint low = (uint)descriptor, high = (uint)(descriptor >> 32);
        bool isGate = ((high >> 8) & 0x1F) == GateType && ((high >> 13) & 3) == 0;
        var target = (ushort)(low >> 16);
        gate = new Gate((ushort)(target & ~3), (low & 0xFFFF) | (high & 0xFFFF0000), target & 3, (int)(high & 0x1F), (high & 0x8000) != 0);
        return isGate;
    }

    /// <summary>The selector that the instruction at EIP names.</summary>
    private static Fault? TryReadOperand(Vcpu vcpu, out Instruction instruction, out ushort selector, out bool isCall)
    {
        selector = 0;
        isCall = false;
        if (!vcpu.Decoder.TryDecode(out instruction))
        {
            return null;
        }

        switch (instruction.Code)
        {
            case Code.Call_ptr1616 or Code.Call_ptr1632:
                isCall = true;
                selector = instruction.FarBranchSelector;
                return null;
            case Code.Jmp_ptr1616 or Code.Jmp_ptr1632:
                selector = instruction.FarBranchSelector;
                return null;
            case Code.Call_m1616 or Code.Call_m1632 or Code.Jmp_m1616 or Code.Jmp_m1632:
                isCall = instruction.Mnemonic == Mnemonic.Call;
                uint skip = instruction.Code is Code.Call_m1616 or Code.Jmp_m1616 ? 2u : 4u;
                uint at = EffectiveAddress(vcpu.State, instruction) + skip;
                return GuestAccess.TryRead(vcpu, at, out selector) ? null : GuestMemoryFault.Find(vcpu, at, 2, false);
            default:
                instruction = default;
                return null;
        }
    }

    private static uint EffectiveAddress(CpuState* cpu, in Instruction instruction)
    {
        uint offset = instruction.MemoryDisplacement32 + Register32(cpu, instruction.MemoryBase)
            + (Register32(cpu, instruction.MemoryIndex) * (uint)instruction.MemoryIndexScale);
        bool narrow = instruction.MemoryBase.IsGPR16() || instruction.MemoryIndex.IsGPR16() || instruction.MemoryDisplSize == 2;
        SegmentIndex index = instruction.MemorySegment switch
        {
            Register.ES => SegmentIndex.Es,
            Register.CS => SegmentIndex.Cs,
            Register.SS => SegmentIndex.Ss,
            Register.FS => SegmentIndex.Fs,
            Register.GS => SegmentIndex.Gs,
            _ => SegmentIndex.Ds,
        };
        return cpu->Segments[index].Base + (narrow ? offset & 0xFFFF : offset);
    }

    private static uint Register32(CpuState* cpu, Register register) =>
        register.IsGPR32() ? cpu->Gpr[register - Register.EAX] : register.IsGPR16() ? cpu->Gpr[register - Register.AX] & 0xFFFF : 0;

    private static Fault Protection(ushort selector) => new() { Vector = Vector.GeneralProtection, ErrorCode = (uint)(selector & ~3) };
}
