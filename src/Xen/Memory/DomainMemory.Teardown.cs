namespace Dbt.Xen.Memory;

/// <content>Giving everything back when the domain ends.</content>
public sealed unsafe partial class DomainMemory
{
    /// <summary>Called once the domain's processors have stopped for good. Frames that others hold stay until they let go.</summary>
    public void Dispose()
    {
        lock (Lock)
        {
            foreach (Vcpu vcpu in Domain.Vcpus)
            {
                vcpu.Descriptors.DropGdt();
                DropBase(vcpu);
                vcpu.PageTableWrite?.Dispose();
                vcpu.PageTableWrite = null;
            }

            _grace.Finish();
            Domain.Grants.ReleaseMappings();
            uint end = _machine.HighWater;
            for (uint mfn = 1; mfn < end && Domain.Hvm is null; mfn++)
            {
                if (Owns(mfn) && (_frames[mfn].TypeInfo & PageInfo.Pinned) != 0)
                {
                    Tables.Unpin(mfn);
                }
            }

            using IDisposable runs = _machine.FreeByRuns();
            for (uint mfn = 1; mfn < end; mfn++)
            {
                if (Owns(mfn))
                {
                    _frames.PutAllocated(mfn);
                }
            }

            _spaces.Dispose();
        }
    }
}
