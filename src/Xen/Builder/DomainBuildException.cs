namespace Dbt.Xen.Builder;

/// <summary>
/// What the user gave can't be made a running guest: the message is one line that says what is wrong and, where it can be told, what
/// to do. Nothing is left behind but the domain object, which the caller disposes.
/// </summary>
public class DomainBuildException : Exception
{
    /// <summary>With the line for the user.</summary>
    public DomainBuildException(string message)
        : base(message)
    {
    }

    /// <summary>With the line for the user and what led to it.</summary>
    public DomainBuildException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
