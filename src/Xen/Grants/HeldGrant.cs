namespace Dbt.Xen.Grants;

/// <summary>A grant in use to copy from or to.</summary>
/// <param name="Table">Whose page it is.</param>
/// <param name="Reference">By which of its grants.</param>
/// <param name="Mfn">The page.</param>
/// <param name="Start">First byte of it that may be copied.</param>
/// <param name="Length">Bytes that may be copied.</param>
/// <param name="PassedOnBy">Who passed the grant on; null where nobody did.</param>
/// <param name="PassedOnReference">By which of its grants.</param>
internal readonly record struct HeldGrant(GrantTable Table, uint Reference, uint Mfn, int Start, int Length, GrantTable? PassedOnBy, uint PassedOnReference)
{
    /// <summary>Whether bytes at an offset of the page may be copied.</summary>
    public bool Covers(int offset, int length) => offset >= Start && offset + length <= Start + Length;

    /// <summary>Lets go of it, exactly once.</summary>
    public void Release(bool writable)
    {
        Table.Release(Reference, writable);
        PassedOnBy?.Unpin(PassedOnReference, writable);
    }
}
