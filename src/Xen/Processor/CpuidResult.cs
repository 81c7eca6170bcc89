namespace Dbt.Xen.Processor;

/// <summary>What CPUID returns.</summary>
/// <param name="Eax">EAX.</param>
/// <param name="Ebx">EBX.</param>
/// <param name="Ecx">ECX.</param>
/// <param name="Edx">EDX.</param>
public readonly record struct CpuidResult(uint Eax, uint Ebx, uint Ecx, uint Edx);

/// <summary>Whose processor a guest thinks it runs on.</summary>
public enum CpuVendor
{
    /// <summary>GenuineIntel.</summary>
    Intel,

    /// <summary>AuthenticAMD, and those that follow it.</summary>
    Amd,

    /// <summary>Any other.</summary>
    Other,
}
