using Dbt.Translator.State;
using Dbt.Xen.Abi;

namespace Dbt.Xen.Processor;

/// <summary>
/// What becomes of an architectural fault: the hypervisor carries the instruction out where a paravirtual kernel may expect it to, and
/// otherwise the guest's handler is entered.
/// </summary>
internal static unsafe class FaultDelivery
{
    private const uint TaskSwitched = 8;
    private const uint SelectorError = 0xFFFC;

    /// <summary>Deals with a fault of the instruction at EIP.</summary>
    public static void Deliver(Vcpu vcpu, Fault fault)
    {
        switch (fault.Vector)
        {
            case Vector.GeneralProtection when fault.ErrorCode == 0:
                if (FastSystemCall.TryEnter(vcpu) || PrivilegedEmulator.TryEmulate(vcpu))
                {
                    return;
                }

                break;
            case Vector.GeneralProtection when vcpu.Descriptors.IsAbsentLdtEntry(fault.ErrorCode, out uint entry):
                // As Xen does it: the page is the guest's to bring in, so it is told of the page.
                fault = new Fault { Vector = Vector.PageFault, Address = entry };
                break;
            case Vector.GeneralProtection when (fault.ErrorCode & 3) == 0:
                CallGate.Enter(vcpu, (ushort)(fault.ErrorCode & SelectorError));
                return;
            case Vector.InvalidOpcode:
                if (FastSystemCall.TryEnter(vcpu) || ForcedEmulation.TryEmulate(vcpu))
                {
                    return;
                }

                break;
            case Vector.PageFault:
                if (IsPageTableWrite(vcpu, fault))
                {
                    if (vcpu.Domain.Memory.TryEmulatePageTableWrite(vcpu, fault.Address))
                    {
                        return;
                    }
                }

                // Emulation may have met another fault than the one that led to it.
                fault = vcpu.State->Fault;
                break;
        }

        Inject(vcpu, fault);
    }

    /// <summary>INT n, INT3 or INTO that is no hypercall.</summary>
    public static void SoftwareInterrupt(Vcpu vcpu, int vector, uint nextEip)
    {
        CpuState* cpu = vcpu.State;
        TrapEntry entry = vcpu.Traps[vector];

        // Breakpoint and overflow have gates that all rings may use, whatever the trap table says of them.
        bool permitted = vector is (int)Vector.Breakpoint or (int)Vector.Overflow || entry.Dpl >= (cpu->Cpl == 1 ? 1 : 3);
        if (!permitted)
        {
            Inject(vcpu, new Fault { Vector = Vector.GeneralProtection, ErrorCode = ((uint)vector << 3) | 2 });
            return;
        }

        var bounce = new Bounce(entry.Selector, entry.Address, entry.MasksEvents, null, $"software interrupt {vector:x2}");
        BounceFrame.Enter(vcpu, bounce, ReturnPoint.Of(cpu) with { Eip = nextEip });
    }

    /// <summary>Enters the guest's handler of a fault at EIP.</summary>
    public static void Inject(Vcpu vcpu, Fault fault)
    {
        CpuState* cpu = vcpu.State;
        uint error = fault.ErrorCode;
        if (fault.Vector == Vector.PageFault)
        {
            cpu->Cr2 = fault.Address;
            *(uint*)(vcpu.Info + SharedInfoLayout.Cr2) = fault.Address;
            error = (error & ~(uint)PageFaultCode.User) | (cpu->Cpl == 1 ? 0 : (uint)PageFaultCode.User);
        }

        TrapEntry entry = vcpu.Traps[(int)fault.Vector];
        string what = entry.IsSet ? "exception" : Describe(fault);
        BounceFrame.Enter(vcpu, new Bounce(entry.Selector, entry.Address, entry.MasksEvents, fault.HasErrorCode ? error : null, what), ReturnPoint.Of(cpu));
        if (fault.Vector == Vector.DeviceNotAvailable)
        {
            // As Xen does it: the handler finds TS clear, and a kernel that restores the FPU needs no CLTS.
            cpu->Cr0 &= ~TaskSwitched;
            cpu->RefreshMode();
        }
    }

    /// <summary>An instruction was carried out for the guest; single step is told of it as the processor would.</summary>
    public static void Emulated(Vcpu vcpu)
    {
        CpuState* cpu = vcpu.State;
        cpu->InterruptShadow = 0;
        cpu->Eflags &= ~Flags.Rf;
        uint reasons = cpu->BreakpointHits | ((cpu->Eflags & Flags.Tf) != 0 ? DebugRegisters.SingleStep : 0);
        cpu->BreakpointHits = 0;
        if (reasons != 0)
        {
            DebugRegisters.RaiseTrap(vcpu, reasons);
        }
    }

    private static bool IsPageTableWrite(Vcpu vcpu, in Fault fault) =>
        vcpu.State->Cpl == 1
        && ((PageFaultCode)fault.ErrorCode & (PageFaultCode.Protection | PageFaultCode.Write | PageFaultCode.Reserved | PageFaultCode.Fetch))
            == (PageFaultCode.Protection | PageFaultCode.Write);

    private static string Describe(in Fault fault) => fault.Vector switch
    {
        Vector.PageFault => $"page fault at {fault.Address:x8} (error code {fault.ErrorCode:x})",
        _ when fault.HasErrorCode => $"{fault.Vector} (error code {fault.ErrorCode:x})",
        _ => fault.Vector.ToString(),
    };
}
