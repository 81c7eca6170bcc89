namespace Dbt.Runtime;

/// <summary>The host failed us (a file, memory, a permission): the message is one line that tells the user what to do.</summary>
public class HostException : Exception
{
    /// <param name="message">One line, with the way out.</param>
    /// <param name="cause">What the host said.</param>
    public HostException(string message, Exception? cause = null)
        : base(message, cause)
    {
    }
}
