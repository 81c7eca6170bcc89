using Dbt.Translator.Memory;

namespace Dbt.Xen.Memory;

/// <summary>An emulated write in progress.</summary>
internal sealed unsafe class PageTableWrite
{
    public bool TryResolve(uint linear, MemoryAccess access, out byte* host)
    {
        host = null;
        return false;
    }
}
