using Dbt.Translator;
using Dbt.Translator.Diagnostics;
using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Processor;
using Iced.Intel;

namespace Dbt.Xen;

/// <summary>What the processor core asks of its surroundings.</summary>
public sealed unsafe partial class Vcpu
{
    /// <inheritdoc/>
    public override CodeMap CodeMap => Domain.CodeMap;

    /// <inheritdoc/>
    public override bool TryResolve(CpuState* cpu, uint linear, MemoryAccess access, bool user, out byte* host, out PageFaultCode error) =>
        Domain.Memory.TryResolve(this, linear, access, user, out host, out error);

    /// <summary>Resolves a linear address for the hypervisor's own access, with supervisor rights.</summary>
    internal bool TryResolveSupervisor(uint linear, MemoryAccess access, out byte* host) => Hvm is { } hvm
        ? hvm.TryResolveMemory(linear, access, out host)
        : Domain.Memory.TryResolve(this, linear, access, user: false, out host, out _);

    /// <inheritdoc/>
    public override bool TryReadDescriptor(CpuState* cpu, ushort selector, out ulong descriptor) =>
        Descriptors.TryRead(selector, out descriptor);

    /// <inheritdoc/>
    public override void DeliverFault(CpuState* cpu)
    {
        int doing = cpu->Doing;
        cpu->Doing = (int)ProcessorActivity.Delivering;
        FaultDelivery.Deliver(this, cpu->Fault);
        ReturnToGuest();
        cpu->Doing = doing;
    }

    /// <inheritdoc/>
    public override void SoftwareInterrupt(CpuState* cpu, int vector, uint nextEip)
    {
        if (vector == Layout.HypercallVector && cpu->Cpl == 1)
        {
            HypercallDispatch.Enter(this, nextEip);
        }
        else
        {
            FaultDelivery.SoftwareInterrupt(this, vector, nextEip);
        }

        ReturnToGuest();
    }

    /// <inheritdoc/>
    public override void Cpuid(CpuState* cpu, uint leaf, uint subleaf, out uint eax, out uint ebx, out uint ecx, out uint edx) =>
        (eax, ebx, ecx, edx) = Domain.Cpuid.Read(leaf, subleaf, Id);

    /// <inheritdoc/>
    public override ulong ReadTsc(CpuState* cpu) => (ulong)Domain.Clock.Now;

    /// <inheritdoc/>
    public override bool ExecutePrivileged(CpuState* cpu, in Instruction instruction) => false;

    /// <inheritdoc/>
    public override void ProtectCode(uint frame) => Domain.Memory.ProtectCode(frame);

    /// <inheritdoc/>
    public override void ReportUnimplemented(CpuState* cpu, string name) => Domain.Log.AddOnce($"instruction not implemented: {name}");

    partial void SetLdt(uint linear, uint entries) => Descriptors.SetLdt(linear, entries);

    partial void AddressSpaceChanged() => Descriptors.DropLdtPages();
}
