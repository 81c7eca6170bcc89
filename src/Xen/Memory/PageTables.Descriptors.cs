namespace Dbt.Xen.Memory;

/// <content>The check of a GDT or LDT page's contents.</content>
internal sealed unsafe partial class PageTables
{
    private const ulong PresentBit = 1UL << 47, SegmentBit = 1UL << 44, LongBit = 1UL << 53;
    private const int DplShift = 45, TypeShift = 40;

    /// <summary>
    /// Whether a guest may have a descriptor (Xen's check_descriptor): code and data segments, call gates and absent ones; never ring 0,
    /// which is silently made ring 1.
    /// </summary>
    internal static bool DescriptorCheck(ref ulong descriptor)
    {
        ulong value = descriptor;
        if ((value & PresentBit) == 0)
        {
            return true;
        }

        if ((value & SegmentBit) != 0)
        {
            if ((value & LongBit) != 0)
            {
                return false;
            }

            if (((value >> DplShift) & 3) == 0)
            {
                descriptor = value | (1UL << DplShift);
            }

            return true;
        }

        // Type 0 is the second half of a 64-bit gate, and harmless; type 12 is a 32-bit call gate. TSSs and other gates are not the guest's.
        int type = (int)(value >> TypeShift) & 0xF;
        return type is 0 or 12;
    }
}
