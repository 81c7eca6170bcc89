using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Xen.Memory;

/// <summary>A domain's frames: ownership, types and counts, page tables, and the address spaces' software TLBs.</summary>
public sealed unsafe class DomainMemory : IDisposable
{
    internal DomainMemory(Domain domain) => Domain = domain;

    /// <summary>The owner.</summary>
    public Domain Domain { get; }

    /// <summary>Frames owned now (tot_pages).</summary>
    public uint PageCount { get; private set; }

    /// <summary>Frames it may own (max_pages).</summary>
    public uint MaxPages { get; set; }

    /// <summary>Gives the domain one more zeroed frame.</summary>
    /// <returns>False where <see cref="MaxPages"/> is reached or the machine is full.</returns>
    public bool TryAddPage(out uint mfn) => throw new NotImplementedException();

    /// <summary>Whether the domain owns the frame.</summary>
    public bool Owns(uint mfn) => throw new NotImplementedException();

    /// <summary>
    /// Validates the table tree under an L3 frame that the builder wrote, pins it, and makes it the processor's base pointer (CR3).
    /// </summary>
    /// <returns>Null, or why the tables are not valid (our own builder's bug).</returns>
    public string? InstallInitialTables(Vcpu vcpu, uint l3Mfn) => throw new NotImplementedException();

    /// <summary>See <see cref="Translator.Platform.TryResolve"/>.</summary>
    public bool TryResolve(Vcpu vcpu, uint linear, MemoryAccess access, bool user, out byte* host, out PageFaultCode error) => throw new NotImplementedException();

    /// <summary>See <see cref="Translator.Platform.ProtectCode"/>.</summary>
    public void ProtectCode(uint frame) => throw new NotImplementedException();

    /// <summary>
    /// A write by the guest kernel faulted on a page that is mapped read-only because it is a page table: carries out the instruction
    /// at EIP as a checked page-table update (Xen's "ptwr").
    /// </summary>
    /// <returns>True where it was emulated and EIP advanced; false where the fault is the guest's own.</returns>
    public bool TryEmulatePageTableWrite(Vcpu vcpu, uint linear) => throw new NotImplementedException();

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
