namespace Dbt.Xen.Builder;

/// <summary>A kernel file that isn't a 32-bit PAE paravirtual kernel, or is damaged.</summary>
public sealed class KernelFormatException : DomainBuildException
{
    /// <summary>With the line for the user.</summary>
    public KernelFormatException(string message)
        : base(message)
    {
    }

    /// <summary>With the line for the user and what led to it.</summary>
    public KernelFormatException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
