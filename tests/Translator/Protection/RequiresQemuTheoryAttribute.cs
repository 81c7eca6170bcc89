namespace Dbt.Tests.Translator.Protection;

/// <summary>A theory that needs QEMU; skipped aloud where the host has none.</summary>
internal sealed class RequiresQemuTheoryAttribute : TheoryAttribute
{
    public RequiresQemuTheoryAttribute()
    {
        if (!Qemu.IsThere)
        {
            Skip = "qemu-system-i386 is not installed; the golden texts still hold.";
        }
    }
}
